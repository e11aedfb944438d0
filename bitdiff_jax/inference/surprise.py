"""Which regions of a given label map an image does not bear out."""

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from bitdiff_jax.data import labelmaps
from bitdiff_jax.inference.likelihood import CoarseBits

# Measured by benchmarks/quality/planted_errors.py: errors lie along a boundary, in a part of a
# region, so that its mean dilutes them, while single pixels are noise.
_SMOOTHING = 1 / 32  # standard deviation, of the longest side
_QUANTILE = 0.9
_ROWS = 10


class RegionSurprise(NamedTuple):
    """How surprising a region is.

    Attributes:
        id: of the region in the map.
        area: pixels of the map.
        score: bits per pixel of the network, negative where the image bears the region out; the
            higher, the less it does.
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
        map: float32 [h, w], smoothed, in bits per pixel of the network; NaN where the label map
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


def of_bits(bits: CoarseBits, label_map: np.ndarray) -> Surprise:
    """The surprise of a map and of its regions from the bits of the network's pixels.

    That of a pixel is its bits with the image less those without it. The score of a region is
    exceeded by a tenth of its pixels, after smoothing by a 32nd of the longest side.

    Args:
        bits: see `likelihood.coarse_bits`; at least one pixel has some.
        label_map: integers [h, w], negative = ignore.
    """
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
    pieces = np.split(at_pixels.ravel()[order], np.cumsum(np.bincount(inverse.ravel()))[:-1])
    regions = []
    for region, values in zip(ids.tolist(), pieces, strict=True):
        scored = values[np.isfinite(values)]
        if scored.size:
            regions.append(
                RegionSurprise(region, len(values), float(np.quantile(scored, _QUANTILE)))
            )
    return Surprise(
        float(bits.given[known].sum() / bits.alone[known].sum()),
        at_pixels,
        tuple(sorted(regions, key=lambda each: -each.score)),
    )
