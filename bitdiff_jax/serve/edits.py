"""Edits of a result as they are made with a pointer: places in what is looked at."""

from collections.abc import Callable, Mapping, Sequence
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
        edit: `edit` is a key of `_BY_POINTS`, 'redraw' or 'undo'; `points` are integers [n, 2],
            (row, column), of a copy of the image.
        shape: (h, w) of that copy.

    Raises:
        InputError: there is no such edit, the points are none, or see `Editor`.
    """
    kind = edit.get("edit")
    if kind == "undo":
        editor.undo()
    elif kind == "redraw":
        editor.redraw()
    elif isinstance(kind, str) and kind in _BY_POINTS:
        line = _at_own_size(edit.get("points"), shape, editor.label_map.shape)
        _BY_POINTS[kind](editor, line)
    else:
        known = ", ".join((*_BY_POINTS, "redraw"))
        raise InputError(f"the edit {kind!r} is not known; use {known} or undo")


def _tell_pair(editor: Editor, name: str, line: np.ndarray) -> None:
    if len(line) != 2:
        raise InputError("two points are needed; click two places in the image")
    first, second = (tuple(point) for point in line.tolist())
    if first == second:
        raise InputError("both points are one place; click two places in the image")
    (editor.same if name == "same" else editor.different)(first, second)


def _keep(editor: Editor, line: np.ndarray) -> None:
    region = _region_at(editor, line[0])
    editor.paint(editor.label_map == region, region)


def _merge(editor: Editor, line: np.ndarray) -> None:
    first, last = (_region_at(editor, point) for point in line[[0, -1]])
    if first == last:
        raise InputError("both points lie in one region; click two regions to merge them")
    editor.merge(first, last)


def _extend(editor: Editor, line: np.ndarray) -> None:
    editor.paint(_brushed(line, editor.label_map.shape), _region_at(editor, line[0]))


# What each does with a line of points (row, column), int [n, 2], of the image at its own size.
_BY_POINTS: Mapping[str, Callable[[Editor, np.ndarray], Any]] = {
    # Its two points lie in one region, or in two.
    "same": lambda editor, line: _tell_pair(editor, "same", line),
    "different": lambda editor, line: _tell_pair(editor, "different", line),
    # The region of its first point stays as it is.
    "keep": _keep,
    # The regions of its first and of its last point become one.
    "merge": _merge,
    # The region of its first point is parted by it.
    "split": lambda editor, line: editor.split(_region_at(editor, line[0]), line),
    # A brush along it makes a new region, or adds to that of its first point.
    "paint": lambda editor, line: editor.paint(_brushed(line, editor.label_map.shape)),
    "extend": _extend,
}


def _region_at(editor: Editor, point: np.ndarray) -> int:
    return int(editor.label_map[tuple(point)])


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
