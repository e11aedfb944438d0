"""Compares drawn maps with an exactly known posterior: are they as undecided as they should be?

A model that always draws the most probable map can score as well as one that draws all maps in
their proportions; these metrics tell the two apart. Two kinds of probability are compared: that
two pixels lie in one region, and that of a whole map. With S maps drawn, a probability q of the
model shows as a share phat with E[phat] = q, so

    (phat - p)^2 - phat (1 - phat) / (S - 1)

has the mean (q - p)^2 whatever S is (Hoeffding 1948: an unbiased estimate of q (1 - q) / S is
subtracted). A mean of it may be negative; for exact draws it is 0 on average.

All are pure functions of numpy arrays. `codes` are maps int [S, h, w], where each distinct code is
a region; atoms, regions and probabilities are those of
`bitdiff_jax.scenes.posterior_scene.PosteriorScene`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.errors import InputError
from bitdiff_jax.scenes.posterior_scene import PosteriorScene

_LOW, _HIGH = 0.1, 0.9  # pairs with p outside of this range are almost decided


class Calibration(NamedTuple):
    """Metrics of one image; NaN where there is nothing to measure.

    A name with `_collapsed` is the value of a model that always draws the most probable map.
    """

    name: str
    pair_error: float  # mean of (q - p)^2 over undecided pixel pairs, unbiased
    pair_error_collapsed: float
    p: np.ndarray  # float64 [n], probability that the two pixels of each pair lie in one region
    phat: np.ndarray  # float64 [n], share of the drawn maps that join them
    mode_error: float  # sum of (q - p)^2 over whole maps and 'none of them', unbiased
    mode_error_collapsed: float
    off: float  # share of drawn maps that are none of the possible ones
    consistent: float  # share of maps in which all objects of the switch are whole or all are cut
    consistent_independent: float  # that share if each object were whole or cut independently


def calibrate(
    codes: np.ndarray, scene: PosteriorScene, *, num_pairs: int = 2000, threshold: float = 0.9
) -> Calibration:
    """All metrics of the maps drawn for one image.

    Args:
        codes: drawn maps, int [S, h, w], S >= 1.
        scene: the image and its posterior.
        num_pairs: number of undecided pixel pairs to look at; they are chosen at random, the same
            ones for every model.
        threshold: adjusted Rand index from which a drawn map counts as one of the possible ones.

    Raises:
        InputError: `codes` are not maps of the image's shape.
    """
    codes = _check(codes, scene.atoms)
    first, second = undecided_pairs(scene, num_pairs, np.random.default_rng(0))
    p = scene.prob_same(first, second)
    phat = same_share(codes, first, second)
    likely = scene.partition(scene.mode())[None]
    shares = mode_shares(codes, scene.atoms, scene.regions, threshold=threshold)
    weights = np.append(scene.probabilities, 0.0)
    collapsed = np.arange(len(weights)) == scene.mode()
    consistent = independent = math.nan
    for choice in scene.choices:
        if choice.kind == "switch":
            objects = choice.options[0]
            consistent = both_or_neither(codes, scene.atoms, objects)
            whole, cut = choice.probabilities
            independent = float(whole ** len(objects) + cut ** len(objects))
    return Calibration(
        name=scene.name,
        pair_error=mean_squared_error(phat, p, len(codes)),
        pair_error_collapsed=mean_squared_error(same_share(likely, first, second), p, None),
        p=p,
        phat=phat,
        mode_error=mean_squared_error(shares, weights, len(codes)) * len(weights),
        mode_error_collapsed=float(np.square(collapsed - weights).sum()),
        off=float(shares[-1]),
        consistent=consistent,
        consistent_independent=independent,
    )


def undecided_pairs(
    scene: PosteriorScene,
    count: int,
    rng: np.random.Generator,
    *,
    low: float = _LOW,
    high: float = _HIGH,
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel pairs whose probability p to lie in one region is undecided: low < p < high.

    First a pair of atoms is drawn, each as likely as the others, then a pixel in each, so that
    large regions do not outweigh small ones.

    Args:
        scene: the image and its posterior.
        count: number n of pairs.
        rng: random generator of the choice.
        low: lower end of the range of p, which is not part of it.
        high: upper end of the range of p, which is not part of it.

    Returns:
        Two arrays int [n, 2] of (row, column); [0, 2] if no pair of atoms is undecided.
    """
    undecided = (scene.same > low) & (scene.same < high)
    pairs = np.argwhere(np.triu(undecided, 1))
    if not len(pairs):
        return np.zeros((0, 2), int), np.zeros((0, 2), int)
    chosen = pairs[rng.integers(len(pairs), size=count)]
    order = np.argsort(scene.atoms, axis=None, kind="stable")
    area = np.bincount(scene.atoms.ravel())
    start = np.cumsum(area) - area
    inside = np.floor(rng.random(chosen.shape) * area[chosen]).astype(int)
    pixels = np.stack(np.unravel_index(order[start[chosen] + inside], scene.atoms.shape), axis=-1)
    return pixels[:, 0], pixels[:, 1]


def same_share(codes: np.ndarray, pixels_a: np.ndarray, pixels_b: np.ndarray) -> np.ndarray:
    """Share of the maps [S, h, w] that give the same code to two pixels; float64 [n].

    Args:
        codes: drawn maps, int [S, h, w].
        pixels_a: first pixel of each pair, int [n, 2], (row, column).
        pixels_b: second pixel of each pair, int [n, 2], (row, column).
    """
    first = codes[:, pixels_a[:, 0], pixels_a[:, 1]]
    return (first == codes[:, pixels_b[:, 0], pixels_b[:, 1]]).mean(axis=0)


def mean_squared_error(phat: np.ndarray, p: np.ndarray, num_samples: int | None) -> float:
    """Mean of (q - p)^2, where phat are shares of `num_samples` draws with probabilities q.

    Args:
        phat: shares of the draws, float [n].
        p: known probabilities, float [n].
        num_samples: number S of draws, at least 2; None if phat are the probabilities themselves.

    Returns:
        An unbiased estimate; NaN for n = 0 or S = 1, for which there is none.
    """
    if not len(p) or num_samples == 1:
        return math.nan
    error = np.square(phat - p)
    if num_samples is not None:
        error -= phat * (1 - phat) / (num_samples - 1)
    return float(error.mean())


def slope(phat: np.ndarray, p: np.ndarray) -> float:
    """Least-squares slope of phat on p; 1 if calibrated, above 1 if over-confident.

    Noise in phat does not bias it, since p is known exactly. A model that always draws the most
    probable map has about the slope of a step at 1/2. It is NaN if p does not vary.
    """
    if len(p) < 2 or np.ptp(p) < 1e-9:
        return math.nan
    centred = p - p.mean()
    return float(centred @ (phat - phat.mean()) / (centred @ centred))


def both_or_neither(
    codes: np.ndarray, atoms: np.ndarray, objects: Sequence[Sequence[int]]
) -> float:
    """Share of maps in which all objects are whole or all are cut, float in [0, 1].

    A part has the code that most of its pixels have. An object is whole if its parts share one
    code, cut if no two of them do; a map with an object that is neither is not consistent.

    Args:
        codes: drawn maps, int [S, h, w].
        atoms: atom of each pixel, int [h, w].
        objects: atoms that are the parts of each object, two or more per object.
    """
    codes = _check(codes, atoms)
    num_different = np.stack([_different(codes, atoms, parts) for parts in objects], axis=1)
    whole = (num_different == 1).all(axis=1)
    cut = (num_different == [len(parts) for parts in objects]).all(axis=1)
    return float((whole | cut).mean())


def _different(codes: np.ndarray, atoms: np.ndarray, parts: Sequence[int]) -> np.ndarray:
    """Number of different codes that the parts of an object have in each map, int [S]."""
    inside = [codes[:, atoms == part] for part in parts]
    return np.array(
        [len({_commonest(pixels[s]) for pixels in inside}) for s in range(len(codes))]
    )  # fmt: skip


def _commonest(values: np.ndarray) -> int:
    found, count = np.unique(values, return_counts=True)
    return int(found[count.argmax()])


def mode_shares(
    codes: np.ndarray, atoms: np.ndarray, regions: np.ndarray, *, threshold: float = 0.9
) -> np.ndarray:
    """Shares of maps that are nearest to each partition, by adjusted Rand index.

    Args:
        codes: drawn maps, int [S, h, w].
        atoms: atom of each pixel, int [h, w], 0 .. A - 1.
        regions: region of each atom in each partition, int [K, A].
        threshold: adjusted Rand index that a map has to reach; a map that reaches it with no
            partition counts as none of them.

    Returns:
        float64 [K + 1]; the last share is that of maps that are none of the partitions.
    """
    codes = _check(codes, atoms)
    num_atoms = regions.shape[1]
    member = regions[:, :, None] == np.arange(regions.max() + 1)  # [K, A, R]
    counts = np.zeros(len(regions) + 1)
    for each in codes:
        _, ids = np.unique(each, return_inverse=True)
        joint = ids.ravel() * num_atoms + atoms.ravel()
        table = np.bincount(joint, minlength=(ids.max() + 1) * num_atoms).reshape(-1, num_atoms)
        score = metrics.adjusted_rand_index_from_table(table @ member.astype(int))
        best = int(score.argmax())
        counts[best if score[best] >= threshold else -1] += 1
    return counts / len(codes)


def _check(codes: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes)
    if codes.ndim != 3 or not len(codes) or codes.shape[1:] != atoms.shape:
        raise InputError(
            f"codes have shape {codes.shape}; they must be one map or more, [S, "
            f"{atoms.shape[0]}, {atoms.shape[1]}]"
        )
    if not np.issubdtype(codes.dtype, np.integer):
        raise InputError(f"codes are {codes.dtype}; they must be integers")
    return codes
