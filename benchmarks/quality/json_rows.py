"""Rows of a benchmark in a file of JSON lines, to which each start appends what it lacks."""

import json
import pathlib
from typing import Any


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows that are there; none if there is no file."""
    return [json.loads(line) for line in path.open()] if path.exists() else []
