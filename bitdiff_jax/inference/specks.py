"""Small pieces of a drawn map given to what surrounds them."""

import dataclasses
import functools
import math

import jax
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from bitdiff_jax.encoding.interface import Encoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import fragments

# A speck is what a few decisions about single pixels leave, so its size goes with the pixels that
# the network draws, whatever the size of the image. Measured on 32 scenes of level 1 at 32 x 32 (a
# model of 1,100 steps, four samples each) without pieces under 0, 4, 8 and 16 pixels: 29, 11, 9 and
# 8 regions where there are 6, ARI .695, .710, .715 and .713, PQ .24, .51, .59 and .66. What it may
# cost: of BSDS500's annotated regions at 128 x 128 those under 8 pixels are 16 %, with .15 % of the
# pixels.
DEFAULT = "8 drawn"
Area = int | float | str

# More codes than these are not looked up one by one.
_MOST_CODES = 1 << 12


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What the network drew of one image: how near each pixel is to codes other than its own.

    Attributes:
        x0: floating-point [n, h', w', C], from which the codes of n maps were read.
        values: float32 [num_codes, C], x0 of each code.
    """

    x0: np.ndarray
    values: np.ndarray


def evidence(encoding: Encoding, decoder: str, x0: np.ndarray | None) -> Evidence | None:
    """The `Evidence` of maps; None where codes do not stand for single pixels, or are too many.

    Args:
        encoding: the model's encoding.
        decoder: `Sampler.decoder`.
        x0: see `Evidence`; None gives None.
    """
    if x0 is None or decoder != "code" or encoding.num_codes > _MOST_CODES:
        return None
    return Evidence(x0, _values(encoding))  # type: ignore[arg-type]  # it is hashable


@functools.lru_cache(maxsize=8)
def _values(encoding: Encoding) -> np.ndarray:
    # As one program: an encoding's operations one by one are compiled one by one.
    return np.asarray(jax.jit(encoding.encode)(np.arange(encoding.num_codes, dtype=np.int32)))


def threshold(min_area: Area, shape: tuple[int, int], resolution: tuple[int, int]) -> float:
    """The area, in pixels as drawn, under which a piece is a speck.

    Args:
        min_area: pixels of the image at its own size, as a number or as text; a share of it,
            '0.1%'; or pixels of the map as the network draws it, '8 drawn'. 0 keeps all pieces.
        shape: (h, w) of the image.
        resolution: (h', w') at which the map was drawn.

    Raises:
        InputError: it is none of these, negative, less than a pixel, or a share above 100%.
    """
    text = str(min_area).strip()
    number, unit = text, ""
    for each in ("%", "drawn"):
        if text.endswith(each):
            number, unit = text.removesuffix(each), each
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf or (unit == "%" and value > 100):
        raise InputError(
            f"min_area is {min_area}; give pixels of the image such as 50, a share of it such as "
            "0.1%, pixels as drawn such as '8 drawn', or 0 for none"
        )
    if 0 < value < 1 and not unit:
        raise InputError(
            f"min_area is {min_area}, less than a pixel; a share of the image is written with a "
            f"percent sign, {100 * value:g}%"
        )
    drawn = resolution[0] * resolution[1]
    if unit == "drawn":
        return value
    return value * drawn / (100 if unit else shape[0] * shape[1])


def clean(
    codes: np.ndarray,
    min_area: Area,
    shape: tuple[int, int],
    drawn: Evidence | None = None,
) -> np.ndarray:
    """The maps of one image without specks.

    Args:
        codes: integers [n, h', w'], as drawn.
        min_area: see `threshold`.
        shape: (h, w) of the image that `min_area` speaks of.
        drawn: what the codes were read from, if it is known.

    Returns:
        As `codes`; see `remove`.

    Raises:
        InputError: as `threshold`.
    """
    smallest = threshold(min_area, shape, (codes.shape[1], codes.shape[2]))
    if drawn is None:
        return np.stack([remove(each, smallest) for each in codes])
    return np.stack(
        [remove(each, smallest, x0, drawn.values) for each, x0 in zip(codes, drawn.x0, strict=True)]
    )


def pieces(codes: np.ndarray) -> np.ndarray:
    """Numbers the connected pieces of a map: pixels that share a side and a code.

    Args:
        codes: integers [h, w].

    Returns:
        int32 [h, w], 0..n-1.
    """
    # Runs of one code along the rows are joined: there are far fewer of them than pixels.
    begins = np.ones(codes.shape, bool)
    begins[:, 1:] = codes[:, 1:] != codes[:, :-1]
    run = (np.cumsum(begins, dtype=np.int32) - 1).reshape(codes.shape)
    # Two runs, one above the other, first meet where one of them begins.
    meet = (codes[1:] == codes[:-1]) & (begins[1:] | begins[:-1])
    ends = run[1:][meet], run[:-1][meet]
    size = int(run[-1, -1]) + 1
    graph = sparse.coo_array((np.ones(len(ends[0]), bool), ends), (size, size))
    return csgraph.connected_components(graph, directed=False)[1][run]


def remove(
    codes: np.ndarray,
    min_area: float,
    x0: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Gives every connected piece smaller than `min_area` to a larger one that touches it.

    To the one whose code is nearest to what was drawn in the piece: squared distances of x0, summed
    over its pixels, which is how a pixel's own code is found. If that is not known, to the one with
    which it has the longest border. A piece that touches small ones alone waits until these have
    theirs.

    A region in several pieces loses its small ones only. What two neighbouring codes leave in
    between them when a border lies between two pixels' decisions is a code of its own: such specks
    are most of the superfluous regions of a drawn map.

    Args:
        codes: integers [h, w]; each distinct code is one region.
        min_area: pixels of this map; up to 1 changes nothing.
        x0: floating-point [h, w, C], from which the codes were read.
        values: float [num_codes, C], x0 of each code; given with `x0`.

    Returns:
        The map; as it was if all its pieces are smaller.

    Raises:
        InputError: `min_area` is negative.
    """
    if min_area < 0:
        raise InputError(f"min_area is {min_area}; use 0 (all pieces are kept) or more pixels")
    if min_area <= 1:
        return codes
    piece = pieces(codes)
    area = np.bincount(piece.ravel())
    large = area >= min_area
    if large.all() or not large.any():
        return codes
    if x0 is None or values is None:
        return fragments.give_away(codes, piece, large)
    sums = np.stack(
        [np.bincount(piece.ravel(), x0[..., c].ravel()) for c in range(x0.shape[-1])], axis=-1
    )

    def nearness(piece: np.ndarray, code: np.ndarray) -> np.ndarray:
        # Half the distance, but for a term that is the same for all codes.
        value = values[code]
        return np.sum(sums[piece] * value, -1) - area[piece] * np.sum(value * value, -1) / 2

    return fragments.give_away(codes, piece, large, nearness)
