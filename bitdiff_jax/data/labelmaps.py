"""Label maps: renumbering and resizing, as pure numpy functions.

Lengths of overlap between source and target pixels are kept as whole numbers (in units of
1 / (source * target) of a side), so a vote by area is exact and ties are decided by rule.
"""

import functools
from typing import Final, Literal

import numpy as np

from bitdiff_jax.errors import InputError

IGNORE: Final = -1
LabelMethod = Literal["nearest", "majority"]
LabelPadding = Literal[-1, 0]

# Bound on temporary arrays while voting.
_VOTE_CELLS = 1 << 21
# Ids up to here are renumbered through a table; sparser ones through a sort.
_TABLE_IDS = 1 << 20


def renumber(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers regions 0..n-1 in ascending order of their ids.

    Args:
        labels: integers of any shape, ids >= 0 and -1 = ignore.

    Returns:
        The n ids, ascending, and the numbers, int32 of the shape of `labels`, -1 = ignore. So
        `np.append(ids, -1)[numbers]` gives `labels` back.
    """
    flat = labels.ravel()
    # Regions come in runs along the rows: only the first pixel of each is looked up.
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    values = flat[starts]
    low, high = int(values.min()), int(values.max())
    if high >= _TABLE_IDS:
        ids, numbers = np.unique(values, return_inverse=True)
    else:
        present = np.bincount(values - low) > 0
        ids = np.flatnonzero(present) + low
        numbers = (np.cumsum(present) - 1)[values - low]
    if low < 0:
        ids, numbers = ids[1:], numbers - 1
    lengths = np.diff(starts, append=flat.size)
    return ids, np.repeat(numbers.astype(np.int32), lengths).reshape(labels.shape)


def compact(labels: np.ndarray, max_regions: int | None = None) -> tuple[np.ndarray, int]:
    """Renumbers region ids to 0..n-1 in ascending order of the original id; -1 stays.

    All regions keep an id of their own, also beyond `max_regions`: what happens to those is decided
    on the device, where it is counted.

    Args:
        labels: int32 [h, w], ids >= 0 and -1 = ignore.
        max_regions: regions that can be represented; None for any number.

    Returns:
        int32 [h, w], and the number of pixels whose new id is `max_regions` or more.
    """
    result = renumber(labels)[1]
    return result, 0 if max_regions is None else int((result >= max_regions).sum())


def compact_objects(labels: np.ndarray, has_background: bool) -> np.ndarray:
    """Renumbers region ids to 1..n, so that 0 is the background's alone; -1 stays.

    Args:
        labels: int32 [h, w], ids >= 0 and -1 = ignore.
        has_background: whether id 0 is the background, which keeps it, or a region like the others.

    Returns:
        int32 [h, w], ids ascending by the original id.
    """
    ids, numbers = renumber(labels)
    if has_background and ids.size and ids[0] == 0:
        return numbers
    return np.where(numbers < 0, numbers, numbers + 1)


@functools.lru_cache(maxsize=512)
def _windows(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Source pixels that each target pixel touches, and how much of them it covers.

    Returns:
        Indices and lengths of overlap, intp [target, m], m = the most pixels that one can touch;
        unused places repeat the last one with length 0. A side is `source * target` units, so that
        lengths are whole.
    """
    first = np.arange(target) * source // target
    last = -(-np.arange(1, target + 1) * source // target) - 1
    index = first[:, None] + np.arange((last - first).max() + 1)
    begin = np.maximum(index * target, np.arange(target)[:, None] * source)
    end = np.minimum((index + 1) * target, np.arange(1, target + 1)[:, None] * source)
    windows = np.minimum(index, last[:, None]), np.maximum(end - begin, 0)
    for array in windows:
        array.setflags(write=False)
    return windows


def _nearest(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = labels.shape
    rows = np.arange(shape[0]) * height // shape[0]
    columns = np.arange(shape[1]) * width // shape[1]
    return labels[rows[:, None], columns]


def at_centres(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Brings an array to another shape: each pixel takes that in which its centre lies.

    Unlike 'nearest' as released, which reads floor(i * source / target), it does not shift what it
    shrinks by half a pixel of the source; from a smaller array to a larger one no value is lost.

    Args:
        array: [..., h, w].
        shape: (h', w').

    Returns:
        [..., h', w'] of the same dtype.
    """
    rows, columns = (
        (2 * np.arange(target) + 1) * source // (2 * target)
        for target, source in zip(shape, array.shape[-2:], strict=True)
    )
    return array[..., rows[:, None], columns]


def _extremes_of_rows(
    low: np.ndarray, high: np.ndarray, target: int
) -> tuple[np.ndarray, np.ndarray]:
    # Whole rows at a time: many times faster than ufunc.reduceat, which goes pixel by pixel.
    first, *others = _windows(low.shape[0], target)[0].T
    least, most = low[first], high[first]
    for rows in others:
        np.minimum(least, low[rows], out=least)
        np.maximum(most, high[rows], out=most)
    return least, most


def _extremes(labels: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest id that each target pixel touches."""
    least, most = _extremes_of_rows(labels, labels, shape[0])
    turned = np.ascontiguousarray(least.T), np.ascontiguousarray(most.T)
    least, most = _extremes_of_rows(*turned, shape[1])
    return np.ascontiguousarray(least.T), np.ascontiguousarray(most.T)


def _vote(windows: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The id with the largest area in each row of `windows` [n, m]."""
    regions, dense = renumber(windows)
    # Ignored comes last: argmax takes the first of equals, and an ignored area must lose.
    candidates = np.append(regions, IGNORE)
    dense = np.where(dense < 0, len(regions), dense)
    winners = np.empty(len(windows), np.intp)
    band = max(1, _VOTE_CELLS // len(candidates))
    for first in range(0, len(windows), band):
        part = dense[first : first + band]
        keys = part + (np.arange(len(part)) * len(candidates))[:, None]
        weights = areas[first : first + band].ravel()
        votes = np.bincount(keys.ravel(), weights, minlength=len(part) * len(candidates))
        winners[first : first + band] = votes.reshape(-1, len(candidates)).argmax(axis=1)
    return candidates[winners]


def _majority(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    # Most target pixels lie inside one region: only the others are voted on.
    result, highest = _extremes(labels, shape)
    mixed_rows, mixed_columns = np.nonzero(result != highest)
    row_index, row_length = _windows(labels.shape[0], shape[0])
    column_index, column_length = _windows(labels.shape[1], shape[1])
    window = row_index.shape[1] * column_index.shape[1]
    band = max(1, _VOTE_CELLS // window)
    for first in range(0, len(mixed_rows), band):
        y, x = mixed_rows[first : first + band], mixed_columns[first : first + band]
        windows = labels[row_index[y][:, :, None], column_index[x][:, None, :]]
        areas = row_length[y][:, :, None] * column_length[x][:, None, :]
        result[y, x] = _vote(windows.reshape(-1, window), areas.reshape(-1, window))
    return result


def resize_labels(
    labels: np.ndarray, shape: tuple[int, int], method: LabelMethod = "majority"
) -> np.ndarray:
    """Resizes a label map; no new ids arise.

    Args:
        labels: int32 [h, w], -1 = ignore.
        shape: (height, width) of the result.
        method: 'nearest' reads source pixel floor(i * source / target), as released; 'majority'
            takes the id that covers most of the target pixel. -1 is a candidate like the others; of
            equal areas the lowest id wins, and any id wins over -1.

    Returns:
        int32 [height, width]; `labels` itself if the shape is already right.
    """
    if labels.shape == tuple(shape):
        return labels
    if method == "nearest":
        return _nearest(labels, shape)
    if method == "majority":
        return _majority(labels, shape)
    raise InputError(f"method {method!r} is not known: use 'nearest' or 'majority'")
