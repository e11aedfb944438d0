"""Which regions of a given label map an image does not bear out."""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from bitdiff_jax.data import labelmaps
from bitdiff_jax.inference.likelihood import CoarseBits
from bitdiff_jax.posterior.agreement import disagreement
from bitdiff_jax.posterior.atoms import refine

# Measured by benchmarks/quality/planted_errors.py: errors lie along a boundary, in a part of a
# region, so that its mean dilutes them, while single pixels are noise.
_SMOOTHING = 1 / 32  # standard deviation, of the longest side
_QUANTILE = 0.9
# Of what the map has beyond samples, beside the bits: chosen on scenes other than those scored.
_SAMPLES_WEIGHT = 0.5
_ROWS = 10


class RegionSurprise(NamedTuple):
    """How surprising a region is.

    Attributes:
        id: of the region in the map.
        area: pixels of the map.
        score: bits per pixel of the network, negative where the image bears the region out; the
            higher, the less it does. With samples half of what the region has beyond them is added,
            in bits as well.
    """

    id: int
    area: int
    score: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Surprise:
    """How little an image bears out a map, and each of its regions.

    Attributes:
        score: of the whole map, what its coarse structure costs with the image, as a share of what
            it costs without: 0 if the image says all of it, 1 if it says nothing.
        map: float32 [h, w], smoothed, in bits per pixel of the network, with samples half of what
            is beyond them added; NaN where the label map
            ignores a pixel or its region is beyond the number of codes.
        regions: all regions that have a score, the most surprising first.
    """

    score: float
    map: np.ndarray
    regions: tuple[RegionSurprise, ...]

    def __repr__(self) -> str:
        count = len(self.regions)
        head = f"Surprise {self.score:.3f} of a map of {count} region{'s' * (count != 1)}"
        rows = [f"{each.id:>8} {each.area:>9} {each.score:>8.3f}" for each in self.regions[:_ROWS]]
        more = [f"and {count - _ROWS} more"] if count > _ROWS else []
        return "\n".join([head, "  region    pixels    score", *rows, *more])


def expected_vi(label_map: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Of each pixel, what it adds to the expected variation of information from samples, in bits.

    Args:
        label_map: int [h, w].
        samples: int [n, h, w].

    Returns:
        float32 [h, w]; NaN where a map ignores the pixel.
    """
    atoms = refine(np.concatenate([label_map[None], samples]))
    own = atoms.regions[atoms.partition[0]]
    # The map is one of those that the mean is over, and adds nothing to it.
    return atoms.values_map(disagreement(atoms, own) * (len(samples) + 1) / len(samples))


def beyond_samples(label_map: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """By how much a map is farther from samples than they are from each other, in bits.

    Args:
        label_map: int [h, w].
        samples: int [n, h, w], two at least.

    Returns:
        float32 [h, w], of each pixel `expected_vi` less the mean of that of each sample from the
        others; NaN where a map ignores the pixel.
    """
    others = [np.delete(samples, i, axis=0) for i in range(len(samples))]
    usual = [expected_vi(*each) for each in zip(samples, others, strict=True)]
    return expected_vi(label_map, samples) - np.mean(usual, axis=0)


def of_bits(bits: CoarseBits, label_map: np.ndarray, samples: np.ndarray | None = None) -> Surprise:
    """The surprise of a map and of its regions from the bits of the network's pixels.

    That of a pixel is its bits with the image less those without it. The score of a region is
    exceeded by a tenth of its pixels, after smoothing by a 32nd of the longest side. With samples
    half of the mean over the region of `beyond_samples` is added to it.

    Args:
        bits: see `likelihood.coarse_bits`; at least one pixel has some.
        label_map: integers [h, w], negative = ignore.
        samples: int [n, h', w'], maps that the model drew of the image; two at least, or None.
    """
    beyond = np.zeros(label_map.shape, np.float32)
    if samples is not None:
        small = labelmaps.resize_labels(label_map, samples.shape[1:])
        found = _SAMPLES_WEIGHT * beyond_samples(small, samples)
        beyond = np.nan_to_num(labelmaps.at_centres(found, label_map.shape))
    known = np.isfinite(bits.given)
    sigma = max(known.shape) * _SMOOTHING
    sums, weights = (
        ndimage.gaussian_filter(np.where(known, each, 0.0).astype(np.float64), sigma)
        for each in (bits.given - bits.alone, np.ones(known.shape))
    )
    smooth = np.where(known, sums / np.maximum(weights, 1e-9), np.nan)
    at_pixels = labelmaps.at_centres(smooth, label_map.shape)
    at_pixels = np.where(label_map < 0, np.nan, at_pixels).astype(np.float32)
    ids, inverse = np.unique(label_map, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(inverse.ravel()))[:-1]
    pieces = (np.split(each.ravel()[order], ends) for each in (at_pixels, beyond))
    regions = []
    for region, values, added in zip(ids.tolist(), *pieces, strict=True):
        scored = np.isfinite(values)
        if scored.any():
            score = np.quantile(values[scored], _QUANTILE) + added[scored].mean()
            regions.append(RegionSurprise(region, len(values), float(score)))
    return Surprise(
        float(bits.given[known].sum() / bits.alone[known].sum()),
        at_pixels + beyond,
        tuple(sorted(regions, key=lambda each: -each.score)),
    )
