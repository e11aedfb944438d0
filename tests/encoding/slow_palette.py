"""The palette in plain numpy, region by region: an oracle that shares no code with the package."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def centroids(label_map, table, *, max_regions, order, frame, excess, mask):
    """Visited ids with their centroids in cells, those in excess, and the pixels that count."""
    label_map, grid = np.asarray(label_map), np.array(table.shape)
    usable = mask & (label_map >= 0) & (label_map < max_regions)
    ids = [int(i) for i in np.unique(label_map[usable])]
    pixels = {i: np.argwhere(usable & (label_map == i)) for i in ids}
    by_area = sorted(ids, key=lambda i: (-len(pixels[i]), tuple(pixels[i][0])))
    kept, rest = by_area[: table.size], by_area[table.size :]
    if rest and excess == "merge":
        pixels[kept[0]] = np.concatenate([pixels[i] for i in [kept[0], *rest]])
    if frame == "valid" and mask.any():
        where = np.argwhere(mask)
        start, extent = where.min(0), where.max(0) - where.min(0) + 1
    else:
        start, extent = np.zeros(2), np.array(label_map.shape)
    visited = kept if order == "area" else sorted(kept)
    q = {i: (pixels[i].mean(0) - start + 0.5) / extent * grid - 0.5 for i in visited}
    return q, dict.fromkeys(rest, kept[0] if kept else None), usable


def assign(label_map, table, *, excess, **options):
    """The codes of the greedy choice."""
    q, rest, usable = centroids(label_map, table, excess=excess, **options)
    free = set(np.ndindex(table.shape))
    code = {}
    for i, at in q.items():
        own = tuple(int(v) for v in np.round(at))
        if own not in free:
            own = min(sorted(free), key=lambda cell: float(((np.array(cell) - at) ** 2).sum()))
        free.remove(own)
        code[i] = int(table[own])
    if excess == "merge":
        code |= {i: code[largest] for i, largest in rest.items()}
    result = np.full(np.shape(label_map), -1)
    for i, c in code.items():
        result[usable & (label_map == i)] = c
    return result


def costs(q, table):
    """Squared distances [regions, cells], and the least sum that an assignment can have."""
    cells = np.array(list(np.ndindex(table.shape)))
    squared = np.square(np.array(list(q.values()))[:, None] - cells).sum(-1)
    return squared, squared[linear_sum_assignment(squared)].sum()
