"""Visitors: what counted passages say; always 延べ, never a number of persons."""
