"""What can go wrong in the command line and the composition root.

MimamoriError
  SettingError   a setting is missing, unknown or wrong: which one, and what it should be
  StartError     a part of the town does not start: which one, and where to look
  InputError     a file or an argument is wrong: which one, which line, what to do

Each is one sentence for people; the command line prints it and exits with 1.
"""

from __future__ import annotations


class MimamoriError(Exception):
    """Base of what this package raises."""


class SettingError(MimamoriError):
    """A setting is missing, unknown or wrong."""


class StartError(MimamoriError):
    """A part of the town does not start."""


class InputError(MimamoriError):
    """A file or an argument is wrong."""
