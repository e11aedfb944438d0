"""Drawn maps against the truth of every annotator: one row of figures per picture.

The truth is the honest one: all of its regions, not merged to the codes that the model has; its
ignored pixels (-1) are left out. Every region counts, background included.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.errors import InputError


class Row(NamedTuple):
    """Figures of one picture; all but the names and numbers of things are means over annotators.

    NaN where no annotator has labelled a pixel.
    """

    name: str
    ari: float  # adjusted Rand index, mean over the samples
    iou: float  # IoU after the best matching, mean over the truth's regions; over the samples
    iou_penalised: float  # the same where superfluous regions count 0; at most `iou`
    ari_best: float  # of the sample whose ARI is best
    iou_best: float  # of the sample whose IoU is best
    regions_pred: float  # regions drawn, mean over the samples
    regions_true: float  # regions of the truth, both at the resolution of scoring
    num_samples: int
    num_annotators: int  # those with a labelled pixel


def score(
    name: str, codes: np.ndarray, labels: Sequence[np.ndarray], *, score_size: int = 128
) -> Row:
    """Scores the maps drawn for one picture.

    Maps and truths are brought to the same shape, each pixel taking the one at its centre: the
    released code's nearest neighbour shifts the truth by half a pixel of its own, which costs a
    perfect answer .06 ARI on photos of 481 pixels. Counted with numpy on the host, so pictures
    of ever new shapes compile nothing.

    Args:
        name: of the picture.
        codes: int [n, h, w], n >= 1 maps; each distinct code is one region.
        labels: each annotator's int [H, W], all of one shape; ids >= 0, -1 = ignore.
        score_size: longest side at which maps are compared (the paper: 128); 0 compares at the
            truth's own size.

    Returns:
        The row.

    Raises:
        InputError: `score_size` is negative, there is no map or no truth, or truths differ in
            shape.
    """
    if score_size < 0:
        raise InputError(f"score_size is {score_size}; use 0 (the truth's own size) or more")
    shapes = {truth.shape for truth in labels}
    if len(shapes) != 1 or not len(codes):
        raise InputError(
            f"{name}: {len(codes)} maps and truths of shapes {sorted(shapes)}; "
            "there must be a map, and truths of one shape"
        )
    height, width = shapes.pop()
    shape = transforms.resized_shape(height, width, score_size) if score_size else (height, width)
    preds = [_at(shape, each) for each in codes]
    truths = [truth for each in labels if ((truth := _at(shape, each)) >= 0).any()]
    tables = [[_contingency(pred, truth) for truth in truths] for pred in preds]

    def figure(from_table: Callable[[np.ndarray], float]) -> np.ndarray:
        """float64 [samples, annotators], or [samples, 1] of NaN without annotators."""
        if not truths:
            return np.full((len(preds), 1), np.nan)
        return np.asarray([[from_table(table) for table in row] for row in tables])

    ari = figure(metrics.adjusted_rand_index_from_table)
    iou = figure(metrics.hungarian_iou_from_table)
    penalised = figure(functools.partial(metrics.hungarian_iou_from_table, penalise_extra=True))
    return Row(
        name=name,
        ari=float(ari.mean()),
        iou=float(iou.mean()),
        iou_penalised=float(penalised.mean()),
        ari_best=float(ari.mean(axis=1).max()),
        iou_best=float(iou.mean(axis=1).max()),
        regions_pred=float(np.mean([pred.max() + 1 for pred in preds])),
        regions_true=float(np.mean([truth.max() + 1 for truth in truths]) if truths else np.nan),
        num_samples=len(preds),
        num_annotators=len(truths),
    )


def _at(shape: tuple[int, int], ids: np.ndarray) -> np.ndarray:
    """The map at another shape, with ids renumbered to 0..n-1."""
    return labelmaps.compact(labelmaps.at_centres(np.asarray(ids), shape))[0]


def _contingency(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """int64 [P + 1, T]: pixels of each pair of regions; the last row is of those without one."""
    num_pred, num_true = int(pred.max()) + 1, int(truth.max()) + 1
    counted = truth >= 0
    # A prediction of -1 counts as one more region, as in `metrics.contingency_table`.
    rows = np.where(pred < 0, num_pred, pred)[counted].astype(np.int64)
    counts = np.bincount(rows * num_true + truth[counted], minlength=(num_pred + 1) * num_true)
    return counts.reshape(num_pred + 1, num_true)
