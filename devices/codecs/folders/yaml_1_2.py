"""YAML 1.2: `on`, `off`, `yes` and `no` are text, as the authors of these folders mean them; times stay as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from devices.codecs.folders.contents import Source


class _Constructor(SafeConstructor):
    """Times as text: JSON, which codecs answer in, has no others."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read(source: Source, path: Path, text: str) -> Any:
    """What the text says; None, noted with its line, when it is no YAML."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "it cannot be read"
        source.problem(path, f"this is no YAML: {what}", None if mark is None else mark.line + 1)
    except (YAMLError, ValueError, RecursionError) as error:
        source.problem(path, f"this is no YAML: {str(error).splitlines()[0] if str(error) else 'nested too deep'}")
    return None
