"""Slow, plain figures from pixel sets and pixel pairs, sharing nothing with the package."""

from fractions import Fraction
from itertools import permutations

import numpy as np
from scipy.optimize import linear_sum_assignment


def valid_ids(pred, target, mask=None):
    """Flat (pred, target) of the pixels that count; a hole in pred gets an id of its own."""
    keep = np.asarray(target) >= 0
    if mask is not None:
        keep &= mask
    pred, target = np.asarray(pred)[keep], np.asarray(target)[keep]
    return np.where(pred < 0, 10**9, pred), target


def rand_indices(table):
    """(Rand index, adjusted Rand index) of a nested list of counts, in exact rationals."""

    def choose2(counts):
        return sum(n * (n - 1) // 2 for n in counts)

    both = choose2(n for row in table for n in row)
    in_pred = choose2(map(sum, table))
    in_target = choose2(map(sum, zip(*table, strict=True)))
    total = choose2([sum(map(sum, table))])
    expected = Fraction(in_pred * in_target, total)
    rand = Fraction(total + 2 * both - in_pred - in_target, total)
    return float(rand), float((both - expected) / (Fraction(in_pred + in_target, 2) - expected))


def iou_matrix(pred, target):
    """IoU of every target region with every predicted region, from sets of pixels."""
    predicted = [set(np.flatnonzero(pred == i).tolist()) for i in np.unique(pred)]
    wanted = [set(np.flatnonzero(target == i).tolist()) for i in np.unique(target)]
    return np.array([[len(a & b) / len(a | b) for b in predicted] for a in wanted])


def matched_iou(pred, target, penalise_extra=False):
    """Mean matched IoU through a square, zero-padded assignment."""
    iou = iou_matrix(pred, target)
    size = max(iou.shape)
    square = np.zeros((size, size))
    square[: iou.shape[0], : iou.shape[1]] = iou
    total = square[linear_sum_assignment(-square)].sum()
    return total / (size if penalise_extra else iou.shape[0])


def matched_iou_by_trying_all(pred, target, penalise_extra=False):
    """The same by trying every matching: for a handful of regions."""
    iou = iou_matrix(pred, target)
    wide = iou if iou.shape[0] <= iou.shape[1] else iou.T
    total = max(
        sum(wide[i, j] for i, j in enumerate(order))
        for order in permutations(range(wide.shape[1]), wide.shape[0])
    )
    return total / (max(iou.shape) if penalise_extra else iou.shape[0])
