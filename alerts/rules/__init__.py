"""The rules: pure functions of (rule version, stored observations, open alert). No database, no clock, no memory.

Whoever evaluates them, however often and from whichever restart on, reaches the same history.
"""
