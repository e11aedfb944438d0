"""The regions of a label map as COCO's packed run lengths, all of them in one pass."""

import numpy as np

from bitdiff_jax.inference.formats.label_maps import check_label_map

_BITS = 5  # of a number in each character
_FIRST = ord("0")


def run_lengths(label_map: np.ndarray) -> dict[int, str]:
    """The mask of each region in the packed form that `pycocotools.mask` reads.

    `data.readers.runs.runs` describes the form and reads it too.

    Args:
        label_map: integers [h, w]; ids >= 1 are regions, others are left out.

    Returns:
        Region -> counts, in ascending order of the regions. With `"size": [h, w]` they are a mask.

    Raises:
        InputError: it is no label map.
    """
    check_label_map(label_map)
    pixels = label_map.ravel(order="F")
    begin = np.flatnonzero(np.diff(pixels, prepend=pixels[0] - 1))
    length = np.diff(begin, append=pixels.size)
    label = pixels[begin]
    kept = np.flatnonzero(label > 0)
    kept = kept[np.argsort(label[kept], kind="stable")]
    begin, length, label = begin[kept], length[kept], label[kept]
    end = begin + length
    is_first = np.diff(label, prepend=0) != 0
    # Of each region: what lies before its first run, that run, what lies before the next, ...
    gap = begin - np.where(is_first, 0, np.concatenate([[0], end[:-1]]))
    is_last = np.append(is_first[1:], True)
    rest = np.where(is_last & (end < pixels.size), pixels.size - end, -1)
    counts = np.stack([gap, length, rest], axis=1).ravel()
    owner = np.repeat(label, 3)
    owner, counts = owner[counts >= 0], counts[counts >= 0]
    if not len(owner):
        return {}
    start = np.flatnonzero(np.diff(owner, prepend=0))
    characters, sizes = _pack(counts, start)
    bounds = np.concatenate([[0], np.cumsum(np.add.reduceat(sizes, start))]).tolist()
    text = characters.tobytes().decode("ascii")
    ids = owner[start].tolist()
    return {each: text[bounds[i] : bounds[i + 1]] for i, each in enumerate(ids)}


def _pack(counts: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The characters of several lists of counts, and how many there are of each count.

    Args:
        counts: int [n], of all lists.
        start: int [lists], where each begins.
    """
    place = np.arange(len(counts)) - np.repeat(start, np.diff(start, append=len(counts)))
    values = counts.astype(np.int64)
    later = np.flatnonzero(place > 2)
    values[later] -= counts[later - 2]
    # Of a number in two's complement, as many groups of bits as its sign needs to be seen.
    sizes = np.ones(len(values), np.int64)
    while (longer := (values >> (_BITS * sizes - 1)) - (values >> 63)).any():
        sizes += longer != 0
    each = np.repeat(np.arange(len(values)), sizes)
    group = np.arange(len(each)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    bits = values[each] >> (_BITS * group) & 2**_BITS - 1
    bits |= (group < sizes[each] - 1).astype(np.int64) << _BITS
    return (bits + _FIRST).astype(np.uint8), sizes
