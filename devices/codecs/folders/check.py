"""Every example of a folder, run and compared: what passed, what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devices.codecs.folders.contents import Contents, Progress
from devices.codecs.javascript import Sandbox, run_vectors


@dataclass(frozen=True, slots=True)
class FailedExample:
    """An example that failed, or (`example` None) a file that cannot be used."""

    file: str
    reason: str
    line: int | None = None
    example: str | None = None
    script: str | None = None
    expected: Mapping[str, Any] | None = None
    got: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON; what is not known is left out."""
        named = {
            "file": self.file, "line": self.line, "example": self.example, "codec": self.script, "reason": self.reason,
            "expected": self.expected, "got": self.got,
        }  # fmt: skip
        return {key: value for key, value in named.items() if value is not None or key in ("file", "example", "reason")}


@dataclass(frozen=True, slots=True)
class CheckedFolder:
    """`codecs` are those that have examples, `stateless` how many of them may keep their context."""

    shape: str
    passed: int
    failures: tuple[FailedExample, ...]
    codecs: int
    stateless: int


def check_folder(
    contents: Contents, sandbox: Sandbox, *, progress: Progress = lambda done, total: None
) -> CheckedFolder:
    """Run every example. What the reading of the folder could not use counts as failed, too."""
    failures = [FailedExample(each.file, each.reason, each.line, each.example) for each in contents.problems]
    tested = [codec for codec in contents.codecs if codec.vectors]
    passed = stateless = 0
    for done, each in enumerate(tested):
        progress(done, len(tested))
        result = run_vectors(sandbox, each.codec, each.vectors)
        passed += result.passed
        stateless += result.stateless
        failures += [
            FailedExample(each.file, failure.reason, None, failure.name, each.script, failure.expected, failure.got)
            for failure in result.failures
        ]
    progress(len(tested), len(tested))
    return CheckedFolder(contents.shape, passed, tuple(failures), len(tested), stateless)
