"""Leaks: what the inflow of a distribution block says about water that is lost."""
