"""Edits of a result as they are made with a pointer: places in what is looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.editor import Editor

_MOST_POINTS = 10_000  # of a stroke
_BRUSH = 1 / 40  # width of the brush, as a share of the longest side


def apply(editor: Editor, edit: Mapping[str, Any], shape: tuple[int, int]) -> None:
    """Does an edit.

    Args:
        editor: of the image at its own size.
        edit: `edit` is 'merge' (the regions of the first and of the last point), 'split' (the
            region of the first point, by the line), 'paint' (a new region along the line), 'redraw'
            or 'undo'; `points` are integers [n, 2], (row, column), of a copy of the image.
        shape: (h, w) of that copy.

    Raises:
        InputError: there is no such edit, the points are none, or see `Editor`.
    """
    kind = edit.get("edit")
    if kind == "undo":
        editor.undo()
    elif kind == "redraw":
        editor.redraw()
    elif kind in ("merge", "split", "paint"):
        label_map = editor.label_map
        line = _at_own_size(edit.get("points"), shape, label_map.shape)
        first, last = int(label_map[tuple(line[0])]), int(label_map[tuple(line[-1])])
        if kind == "merge":
            if first == last:
                raise InputError("both points lie in one region; click two regions to merge them")
            editor.merge(first, last)
        elif kind == "split":
            editor.split(first, line)
        else:
            editor.paint(_brushed(line, label_map.shape))
    else:
        raise InputError(f"the edit {kind!r} is not known; use merge, split, paint, redraw or undo")


def _at_own_size(points: Any, shape: Sequence[int], own: Sequence[int]) -> np.ndarray:
    """Places in a copy of an image as those of the image, int [n, 2]: centres on centres."""
    try:
        found: np.ndarray = np.asarray(points, np.int64)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if found.ndim != 2 or found.shape[1:] != (2,) or not 0 < len(found) <= _MOST_POINTS:
        raise InputError("the edit needs points in the image; draw it again")
    if (found < 0).any() or (found >= shape).any():
        raise InputError("the edit leaves the image; draw it inside")
    moved: np.ndarray = ((2 * found + 1) * np.asarray(own) // (2 * np.asarray(shape))).astype(int)
    return moved


def _brushed(line: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """What a round brush covers along a line, bool [h, w]."""
    width = max(1, round(_BRUSH * max(shape)))
    canvas = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    places = [(int(column), int(row)) for row, column in line]
    draw.line(places, fill=1, width=width)
    for column, row in places:
        draw.circle((column, row), width / 2, fill=1)
    return np.array(canvas)
