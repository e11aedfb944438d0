"""Makes one partition of the image from masks that may overlap, each with a score.

The masks of a detector overlap, leave gaps, and have a confidence. A partition has one region at
every pixel. Metrics depend on the rule that makes one of the other, so the rule is a value (`Rule`)
that is stated beside the metrics.
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
    """Which mask gets a pixel of several masks, and which masks take part.

    Masks are laid from the top down; each takes those of its pixels that none above it has.

    Attributes:
        order: which mask lies on top: that of the higher 'score' (of equal scores, and without
            scores, the earlier one), the 'smaller' by its whole area (of equal areas as by
            'score'), the 'earlier' or the 'later' of the list.
        min_score: lowest score of a mask that takes part. Detectors write a fixed number of masks
            per image, most of them of low confidence: 0 keeps them all, and they fill gaps.
        min_visible: smallest share of its pixels, in [0, 1], that a mask must keep; otherwise its
            pixels go to the masks below it. With `min_score` and `min_visible` of .5 and order
            'score' the rule is that of panopticapi's `combine_semantic_and_instance_predictions`
            and of detectron2's panoptic FPN.
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
    """A partition made of masks.

    Attributes:
        labels: int32 [h, w], ids 0..n-1 in the order of the masks' list; -1 where no mask lies. For
            the metrics these unassigned pixels are one more region.
        masks: intp [n], place of each region's mask in the list. A mask that is empty, lies wholly
            below others or is left out by the rule gives no region.
        scores: float64 [n], score of each region; None without scores.
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
    """Makes one partition of binary masks.

    Args:
        masks: masks [h, w], or an array [n, h, w]; pixels that are not 0 are inside.
        scores: score of each mask, float [n], higher is surer; None if there are none.
        shape: size (h, w) of the image; needed where there is no mask.
        rule: which mask gets a pixel; None takes `Rule()`: the mask of higher score on top, and all
            masks take part.

    Raises:
        InputError: masks differ in shape or from `shape`, there is no mask and no shape, or scores
            are not one finite number per mask.
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
    """Does the same as `partition` for masks given as runs of pixels, column by column.

    Args:
        masks: begin and length of the runs of each mask, int [k, 2], as `data.readers.runs.runs`
            returns them for RLE.
        scores: score of each mask, float [n], higher is surer; None if there are none.
        shape: size (h, w) of the image.
        rule: which mask gets a pixel, as for `partition`.
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
    # Masks that own a pixel are renumbered in the order of the list; the last place is for -1.
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
