"""Rows of an evaluation: one JSON line for each scene, appended as soon as it is scored."""

import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

Row = Mapping[str, float | str | None]
FILE = "rows.jsonl"
NAME = "image"


def append(path: pathlib.Path, rows: Iterable[Row]) -> None:
    """Appends rows; values get four significant places behind the point, NaN is null."""
    lines = [json.dumps({key: _plain(value) for key, value in row.items()}) for row in rows]
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def read(path: pathlib.Path) -> list[dict[str, float | str | None]]:
    """The whole rows of a file, the first one of each scene; a line cut short is removed from it.

    A file that is not there has none.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    found: dict[str, dict[str, float | str | None]] = {}
    for line in data[:whole].splitlines():
        row = json.loads(line)
        found.setdefault(row[NAME], row)
    return list(found.values())


def column(rows: Iterable[Row], name: str) -> np.ndarray:
    """The values of a column, float64 [n], NaN where a row has none."""
    values = [row.get(name) for row in rows]
    return np.array([math.nan if v is None else v for v in values], np.float64)


def _plain(value: float | str | None) -> float | str | None:
    if not isinstance(value, float | np.floating):
        return value
    return round(float(value), 5) if math.isfinite(value) else None
