"""Leaks from loggers: what the pressures, flows and meters of a network say about water that began to be lost."""
