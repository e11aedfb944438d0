"""Masks that may overlap, with a score each, made into one partition of the image.

A mask head answers with a bag of masks: they overlap, leave gaps, and carry a confidence. A
partition has one region at every pixel. Between the two lies a rule, and metrics depend on it, so
it is a value with a name (`Rule`) that is stated beside the metrics.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from bitdiff_jax.errors import InputError

UNASSIGNED = -1
Order = Literal["score", "smaller", "earlier", "later"]
ORDERS: tuple[str, ...] = get_args(Order)


@dataclasses.dataclass(frozen=True)
class Rule:
    """Whose a pixel of several masks is, and which masks take part.

    Masks are laid from the top down; each takes those of its pixels that none above it has.

    Attributes:
        order: which mask lies on top: that of the higher 'score' (of equal scores, and without
            scores, the earlier one), the 'smaller' by its whole area (of equal areas as by
            'score'), the 'earlier' or the 'later' of the list.
        min_score: masks of a lower score take no part. Detectors write a fixed number of masks a
            image, most of them of no confidence: 0 keeps them all, and they fill gaps.
        min_visible: a mask of which less than this share of its pixels is left takes no part, and
            its pixels go to those below it. .5 of each, with order 'score', is how panopticapi's
            `combine_semantic_and_instance_predictions` lays instances, and detectron2's panoptic
            FPN: their thresholds of confidence and of overlap.
    """

    order: Order = "score"
    min_score: float = 0.0
    min_visible: float = 0.0

    def __post_init__(self):
        if self.order not in ORDERS:
            raise InputError(f"order={self.order!r} is not known: use one of {', '.join(ORDERS)}")
        if not 0 <= self.min_visible <= 1:
            raise InputError(f"min_visible is {self.min_visible}; use a share from 0 to 1")

    def __str__(self) -> str:
        return f"{self.order} on top, score >= {self.min_score:g}, visible >= {self.min_visible:g}"


class Partition(NamedTuple):
    """One region at every pixel, or none.

    Attributes:
        labels: int32 [h, w], 0..n-1 in the order of the masks' list; -1 where no mask lies. To the
            metrics these unassigned pixels are one region more.
        masks: intp [n], which mask of the list each region is. A mask that is empty, lies below
            others altogether or is left out by the rule is none.
        scores: float64 [n] of each region, or None without scores.
    """

    labels: np.ndarray
    masks: np.ndarray
    scores: np.ndarray | None


def partition(
    masks: Sequence[np.ndarray] | np.ndarray,
    scores: Sequence[float] | np.ndarray | None = None,
    *,
    shape: tuple[int, int] | None = None,
    rule: Rule | None = None,
) -> Partition:
    """One partition of binary masks.

    Args:
        masks: [h, w] each, or [n, h, w]; what is not 0 is inside.
        scores: float [n], higher is surer; None if there are none.
        shape: (h, w); needed where there is no mask.
        rule: `Rule()` if None: the surer mask on top, all take part.

    Raises:
        InputError: masks of several shapes or of another than `shape`, no mask and no shape, or
            scores that are not one finite number a mask.
    """
    shapes = {np.shape(mask) for mask in masks} | ({tuple(shape)} if shape else set())
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise InputError(
            f"masks must be of one shape [h, w], these are of {sorted(shapes) or 'none'}; "
            "give them the size of the picture, or name its shape where there are none"
        )
    height, width = shapes.pop()
    areas = np.array([np.count_nonzero(mask) for mask in masks], np.int64)
    return _laid(
        lambda i: np.flatnonzero(masks[i]), areas, scores, (height, width), rule or Rule(), "C"
    )


def partition_of_runs(
    masks: Sequence[np.ndarray],
    scores: Sequence[float] | np.ndarray | None,
    shape: tuple[int, int],
    *,
    rule: Rule | None = None,
) -> Partition:
    """As `partition`, of masks as runs of pixels by columns, `data.readers.runs.runs` of RLE.

    Args:
        masks: int [k, 2] each, begin and length of the runs.
        scores: float [n], or None.
        shape: (h, w).
        rule: as for `partition`.
    """
    areas = np.array([int(mask[:, 1].sum()) for mask in masks], np.int64)

    def pixels(i: int) -> np.ndarray:
        begins, lengths = masks[i].T
        before = np.cumsum(lengths) - lengths
        return np.repeat(begins - before, lengths) + np.arange(areas[i])

    return _laid(pixels, areas, scores, shape, rule or Rule(), "F")


def _laid(
    pixels: Callable[[int], np.ndarray],
    areas: np.ndarray,
    scores: Sequence[float] | np.ndarray | None,
    shape: tuple[int, int],
    rule: Rule,
    layout: Literal["C", "F"],
) -> Partition:
    known = _checked(scores, len(areas))
    if known is None and rule.min_score > 0:
        raise InputError(f"min_score is {rule.min_score}, but these masks have no scores; use 0")
    flat = np.full(shape[0] * shape[1], UNASSIGNED, np.int32)
    for i in _from_the_top(areas, known, rule.order):
        if not areas[i] or (known is not None and known[i] < rule.min_score):
            continue
        inside = pixels(int(i))
        left = inside[flat[inside] == UNASSIGNED]
        if len(left) and len(left) >= rule.min_visible * areas[i]:
            flat[left] = i
    # Each mask that owns a pixel, renumbered in the order of the list; the last place is of -1.
    owners = np.zeros(len(areas) + 1, bool)
    owners[flat] = True
    chosen = np.flatnonzero(owners[:-1])
    numbers = np.append(np.cumsum(owners[:-1]) - 1, UNASSIGNED).astype(np.int32)
    labels = np.ascontiguousarray(numbers[flat].reshape(shape, order=layout))
    return Partition(labels, chosen, None if known is None else known[chosen])


def _from_the_top(areas: np.ndarray, scores: np.ndarray | None, order: Order) -> np.ndarray:
    place = np.arange(len(areas))
    if order == "earlier":
        return place
    if order == "later":
        return place[::-1]
    keys = [place] if scores is None else [place, -scores]
    return np.lexsort([*keys, areas] if order == "smaller" else keys)


def _checked(scores: Sequence[float] | np.ndarray | None, count: int) -> np.ndarray | None:
    if scores is None:
        return None
    try:
        values = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise InputError(f"scores must be one finite number for each of {count} masks")
    return values
