"""Watched folders: a CSV or Excel file that is dropped becomes observations (docs/import.md).

  root/NAME/water.csv     NAME is a folder; its map is made on a page and stands in the database

config    what the worker is told
look      what lies in a folder, and which of it is whole
tables    a file as a table, and the sample that a map is made with
reading   a table to observations: gate, writer, both counts, and how far it is read
keep      where read files go, and the report beside them
worker    the process: one a municipality
"""

from __future__ import annotations

from ingest.folders.config import FoldersConfig
from ingest.folders.worker import run

__all__ = ["FoldersConfig", "run"]
