"""Precision, recall and F of boundaries that may be a little off.

Two ways to say which boundary pixels agree are published, and both are here by name:

* "bipartite": one-to-one, no two pixels of one map may claim the same pixel of the other (Martin,
  Fowlkes & Malik 2004; the BSDS500 benchmark's correspondPixels): as many pairs at most the
  tolerance apart as there can be. The benchmark asks for the least sum of distances instead, with
  100 tolerances for an unmatched pixel: one pair more pays unless it moves a chain of a hundred
  others, so that against one annotator its counts are these or less than 1 % below (equal on all
  112 pairs of maps measured, crops of BSDS500; its thinned-out random graph of unmatched pixels
  aside). With several annotators the precision depends on which pixels are matched, which the rule
  of the greatest number leaves open: on the same crops it differed by .0015 per image on average
  and by .008 at most, in either direction.
* "dilation": a pixel is right if any boundary pixel of the other map is within the tolerance
  (Csurka et al. 2013; Perazzi et al. 2016, whose tolerance is rounded up to whole pixels). Fast,
  and never lower: a doubled or jagged boundary is not punished.

The tolerance is a share of the diagonal: .0075 in BSDS500, .008 in Perazzi et al.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics.boundary_pixels import boundary_pixels, thin

MATCHINGS = ("bipartite", "dilation")


class BoundaryCounts(NamedTuple):
    """Counts that the BSDS500 benchmark adds up over images; `a.plus(b)` does.

    Precision is 1 where the prediction has no boundary, and recall is 1 where the target has none
    (Perazzi et al. 2016), so two maps of one region agree. The benchmark takes 0 for 0/0, which
    makes no difference over a whole set of images.
    """

    right_pred: int
    pred: int
    right_target: int
    target: int

    def plus(self, other: "BoundaryCounts") -> "BoundaryCounts":
        """The sums of both counts."""
        return BoundaryCounts._make(a + b for a, b in zip(self, other, strict=True))

    @property
    def precision(self) -> float:
        """Share of the prediction's boundary pixels that are right."""
        return self.right_pred / self.pred if self.pred else 1.0

    @property
    def recall(self) -> float:
        """Share of the target's boundary pixels that are found."""
        return self.right_target / self.target if self.target else 1.0

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall."""
        precision, recall = self.precision, self.recall
        total = precision + recall
        return 2 * precision * recall / total if total else 0.0


def boundary_counts(
    pred: ArrayLike,
    targets: ArrayLike | Sequence[ArrayLike],
    *,
    tolerance: float = 0.0075,
    matching: str = "bipartite",
    thinned: bool = True,
) -> BoundaryCounts:
    """Compares the boundaries of one map with those of one annotator or several, on the host.

    With several annotators the rule is that of the BSDS500 benchmark: a predicted pixel is right if
    it is matched to any annotator's boundary, and the boundaries of all annotators are to be found.

    Args:
        pred: int [H, W]; every value is a region, a negative one that of unassigned pixels.
        targets: int [H, W], or several; negative pixels are ignored. Between an ignored pixel and
            another there is no boundary in either map. A predicted pixel counts if it is on a
            boundary between pixels that any annotator labelled, and is compared with the annotators
            who labelled them.
        tolerance: greatest distance of a matched pair of pixels, as a share of the image's
            diagonal; >= 0.
        matching: "bipartite" or "dilation", the two rules that the module's docstring describes.
        thinned: whether all boundaries are thinned to one pixel first, as the benchmark does with
            predictions.

    Returns:
        The counts; all 0 if nothing is labelled.

    Raises:
        InputError: shapes differ, a map is not integer [H, W], `matching` is neither of the two, or
            the tolerance is negative.

    Example:
        >>> counts = boundary_counts([[0, 0, 1, 1]] * 9, [[0, 1, 1, 1]] * 9, tolerance=0.2)
        >>> counts.f, boundary_counts([[0, 0, 1, 1]] * 9, [[0, 1, 1, 1]] * 9, tolerance=0.0).f
        (1.0, 0.0)
    """
    if matching not in MATCHINGS:
        raise InputError(f"matching is {matching!r}; use one of {', '.join(MATCHINGS)}")
    if not tolerance >= 0:
        raise InputError(f"tolerance is {tolerance}; use a share of the diagonal, 0 or more")
    labels, truths = check_pair(pred, targets)
    reach = tolerance * float(np.hypot(*labels.shape))
    match = _match_one_to_one if matching == "bipartite" else _match_any
    line = thin if thinned else np.asarray
    right = np.zeros(labels.shape, bool)
    marked = np.zeros(labels.shape, bool)
    found = wanted = 0
    for truth in truths:
        labelled = truth >= 0
        ours = line(boundary_pixels(labels, labelled))
        theirs = line(boundary_pixels(truth, labelled))
        right_ours, right_theirs = match(ours, theirs, reach)
        marked |= ours
        right |= right_ours
        found += int(right_theirs.sum())
        wanted += int(theirs.sum())
    return BoundaryCounts(int(right.sum()), int(marked.sum()), found, wanted)


def check_pair(
    pred: ArrayLike, targets: ArrayLike | Sequence[ArrayLike]
) -> tuple[np.ndarray, np.ndarray]:
    """The map with one id for all unassigned pixels, and the truths as [n, H, W], n >= 1."""
    labels = np.asarray(pred)
    truths = np.asarray(targets)
    truths = truths[None] if truths.ndim == 2 else truths
    whole = np.issubdtype(labels.dtype, np.integer) and np.issubdtype(truths.dtype, np.integer)
    if not whole or labels.ndim != 2 or truths.shape[1:] != labels.shape or not len(truths):
        raise InputError(
            f"pred is {labels.dtype} {labels.shape} and targets are {truths.dtype} {truths.shape}: "
            "they must be integer maps [H, W] of the same size, the targets one or several"
        )
    return np.where(labels < 0, -1, labels), truths


def _match_any(ours: np.ndarray, theirs: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    # Imported here: reading the package must not cost the import of scipy.
    from scipy.ndimage import distance_transform_edt

    if not ours.any() or not theirs.any():
        return np.zeros_like(ours), np.zeros_like(theirs)
    return (
        ours & (distance_transform_edt(~theirs) <= reach),
        theirs & (distance_transform_edt(~ours) <= reach),
    )


def _match_one_to_one(
    ours: np.ndarray, theirs: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    from scipy import sparse
    from scipy.sparse.csgraph import maximum_flow
    from scipy.spatial import cKDTree

    right = np.zeros_like(ours), np.zeros_like(theirs)
    places = np.argwhere(ours), np.argwhere(theirs)
    n, m = map(len, places)
    if not n or not m:
        return right
    # Slightly more, so that a distance equal to the tolerance is within it whatever the rounding.
    near = cKDTree(places[0]).sparse_distance_matrix(
        cKDTree(places[1]), reach * (1 + 1e-9), output_type="coo_matrix"
    )
    if not near.nnz:
        return right
    # As a flow of ones, where Dinic's bound holds for every graph: scipy's two functions for
    # bipartite matching each failed to end within a minute on 321 x 481 maps of 20 regions.
    source, sink = n + m, n + m + 1
    rows = np.concatenate([near.row, np.full(n, source), n + np.arange(m)])
    columns = np.concatenate([n + near.col, np.arange(n), np.full(m, sink)])
    ones = np.ones(len(rows), np.int32)
    graph = sparse.csr_matrix((ones, (rows, columns)), shape=(sink + 1, sink + 1))
    pairs = maximum_flow(graph, source, sink, method="dinic").flow[:n, n:source].tocoo()
    used = pairs.data > 0
    right[0][tuple(places[0][pairs.row[used]].T)] = True
    right[1][tuple(places[1][pairs.col[used]].T)] = True
    return right
