"""Random and degenerate label maps that every figure is held against its oracle on."""

import numpy as np


def maps(count=200, seed=0, largest=14):
    """Yields (pred, target): nested, noisy, constant, tiny, with holes and ignored pixels."""
    rng = np.random.default_rng(seed)
    yield np.zeros((1, 1), int), np.zeros((1, 1), int)
    yield np.zeros((4, 5), int), np.zeros((4, 5), int)
    yield np.zeros((4, 5), int), np.arange(20).reshape(4, 5)
    yield np.arange(20).reshape(4, 5), np.zeros((4, 5), int)
    yield np.arange(20).reshape(4, 5), np.arange(20)[::-1].reshape(4, 5)
    yield np.full((3, 3), -1), np.arange(9).reshape(3, 3)
    yield np.arange(9).reshape(3, 3), np.full((3, 3), -1)
    # Halves of one region: IoU of exactly 1/2.
    yield np.repeat([0, 1], 8).reshape(4, 4), np.zeros((4, 4), int)
    yield np.zeros((4, 4), int), np.repeat([0, 1], 8).reshape(4, 4)
    while count:
        count -= 1
        shape = tuple(rng.integers(1, largest, 2))
        target = blocks(rng, shape, rng.integers(1, 7))
        kind = rng.integers(4)
        if kind == 0:
            pred = blocks(rng, shape, rng.integers(1, 9))
        elif kind == 1:
            pred = np.roll(target, rng.integers(-2, 3, 2), axis=(0, 1))
        elif kind == 2:
            pred = target // 2 + 3
        else:
            pred = np.where(rng.random(shape) < 0.2, rng.integers(0, 9, shape), target)
        if rng.random() < 0.5:
            target = np.where(rng.random(shape) < rng.choice([0.05, 0.5, 0.95]), -1, target)
        if rng.random() < 0.3:
            pred = np.where(rng.random(shape) < 0.2, -1, pred)
        yield pred, target


def blocks(rng, shape, regions):
    """The nearest of a few random centres: regions as pictures have them."""
    centres = rng.random((regions, 2)) * shape
    places = np.stack(np.mgrid[: shape[0], : shape[1]], -1)[:, :, None]
    return ((places - centres) ** 2).sum(-1).argmin(-1)


def three_hundred_regions(seed=0):
    rng = np.random.default_rng(seed)
    target = blocks(rng, (60, 80), 300)
    pred = np.roll(target, 1, axis=1)
    return np.where(rng.random(target.shape) < 0.1, -1, pred), target


def labels_of(*maps):
    """Labels enough for the maps."""
    return max(1, *(int(each.max()) + 1 for each in maps))


def table_of(pred, target):
    """(int64 [P + 1, T], ignored pixels of each row), counted pixel by pixel."""
    num_pred, num_target = max(pred.max() + 1, 1), max(target.max() + 1, 1)
    table = np.zeros((num_pred + 1, num_target), np.int64)
    ignored = np.zeros(num_pred + 1, np.int64)
    for p, t in zip(pred.flat, target.flat, strict=True):
        row = num_pred if p < 0 else p
        if t < 0:
            ignored[row] += 1
        else:
            table[row, t] += 1
    return table, ignored
