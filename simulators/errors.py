"""What the simulators raise.

SimulatorError   the town cannot be simulated: which device or broker, what is wrong, what to do
"""

from __future__ import annotations


class SimulatorError(Exception):
    """The town cannot be simulated."""
