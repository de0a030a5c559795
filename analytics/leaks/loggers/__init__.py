"""Leaks from a town's own loggers, night by night: where they are, what they measured, and what is suspected."""
