"""Customers' smart meters: readings by the hour, kept without number, name or address, and what they show."""
