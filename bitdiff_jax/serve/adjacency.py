"""Which regions of a label map touch."""

import numpy as np


def neighbours(label_map: np.ndarray) -> dict[int, list[int]]:
    """The neighbours of each region, those with the longest common border first.

    Args:
        label_map: integers [h, w], >= 0. Neighbours share a side of a pixel.

    Returns:
        For each id that occurs the ids of the regions around it; of equal borders the lowest first.
    """
    ids = np.unique(label_map)
    pairs = [
        np.stack([label_map[:-1].ravel(), label_map[1:].ravel()]),
        np.stack([label_map[:, :-1].ravel(), label_map[:, 1:].ravel()]),
    ]
    both = np.concatenate(pairs, axis=1)
    both = both[:, both[0] != both[1]]
    both = np.concatenate([both, both[::-1]], axis=1)
    borders, lengths = np.unique(both, axis=1, return_counts=True)
    found: dict[int, list[int]] = {int(each): [] for each in ids}
    for k in np.lexsort((borders[1], -lengths)):
        found[int(borders[0, k])].append(int(borders[1, k]))
    return found
