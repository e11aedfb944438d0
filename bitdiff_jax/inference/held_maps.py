"""What is imposed, in label maps of the image's own size and in those of several samples."""

import numpy as np

from bitdiff_jax.inference.imposed import Groups


def hold(labels: np.ndarray, pixels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A map at the image's size in which each group has its label.

    Args:
        labels: integers [h, w], >= 0.
        pixels: as in `Groups`.
        wanted: int [g], the label of each group; -1 for one that no other pixel has.

    Returns:
        int32 [h, w].
    """
    first = 1 + max(int(labels.max()), int(wanted.max()))
    wanted = np.where(wanted < 0, first + np.arange(len(wanted)), wanted)
    return np.where(pixels < 0, labels, wanted[pixels]).astype(np.int32)


def wanted_labels(drawn: np.ndarray, groups: Groups) -> np.ndarray:
    """The label of each group in a map that was made of several samples.

    Args:
        drawn: integers [h', w'], >= 0, a map as drawn.
        groups: of the samples.

    Returns:
        int [g]: the label that most cells of the group have and no larger group apart from it has;
        -1 if there is none.
    """
    wanted = np.full(len(groups.apart), -1)
    if groups.background >= 0:
        wanted[groups.background] = 0
    areas = np.bincount(groups.cells[groups.cells >= 0], minlength=len(wanted))
    for group in np.argsort(-areas, kind="stable"):
        if group == groups.background:
            continue
        there, counts = np.unique(drawn[groups.cells == group], return_counts=True)
        allowed = ~np.isin(there, wanted[groups.apart[group]])
        if allowed.any():
            wanted[group] = there[np.argmax(np.where(allowed, counts, -1))]
    return wanted


def holds(label_map: np.ndarray, groups: Groups) -> bool:
    """Whether each group lies in one region of a map [h, w], and those apart in different ones."""
    labels = np.zeros(len(groups.apart), np.int64)
    labels[groups.pixels[groups.pixels >= 0]] = label_map[groups.pixels >= 0]
    together = bool((labels[groups.pixels] == label_map)[groups.pixels >= 0].all())
    return together and not (groups.apart & (labels[:, None] == labels)).any()
