"""What pyproject.toml cannot say: a wheel brings the front end's libraries along, as package-lock.json pins them.

`pip install FOLDER` (or a git address) needs no Node then: the build fetches them with the node of a wheel, by the
hashes of the lock. Where the package registry is out of reach the wheel is built without them; the pages then keep
their still pictures, and `mimamori demo` and the api's log say so. An editable installation leaves this to make.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithLibraries(build_py):
    """Copies the packages once dashboards/static/vendor is what the lock says."""

    def run(self) -> None:
        if not self.editable_mode:
            vendor = runpy.run_path(str(Path(__file__).parent / "dashboards" / "vendor.py"))
            if vendor["main"](["--runtime"]) != 0:
                sys.stderr.write("this wheel is built WITHOUT the interactive map and curves\n")
        super().run()


setup(cmdclass={"build_py": BuildWithLibraries})
