"""The palette in plain numpy, region by region: an oracle that shares no code with the package."""

import numpy as np


def assign(label_map, table, *, max_regions, order, frame, excess, mask):
    label_map, side = np.asarray(label_map), table.shape[0]
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
    free = {(r, c) for r in range(side) for c in range(side)}
    code = {}
    for i in kept if order == "area" else sorted(kept):
        q = (pixels[i].mean(0) - start + 0.5) / extent * side - 0.5
        own = tuple(int(v) for v in np.round(q))
        if own not in free:
            own = min(sorted(free), key=lambda cell: float(((np.array(cell) - q) ** 2).sum()))
        free.remove(own)
        code[i] = int(table[own])
    if excess == "merge":
        code |= {i: code[kept[0]] for i in rest}
    result = np.full(label_map.shape, -1)
    for i, c in code.items():
        result[usable & (label_map == i)] = c
    return result
