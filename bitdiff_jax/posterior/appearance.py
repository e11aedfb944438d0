"""How probably people see two parts of an image as one region, by samples and by their looks.

How often samples join two parts is no calibrated probability: where a model errs, all its samples
may. What the image itself shows says something more, and so do other parts: two that the same
others are joined with belong together even if few samples say so. A logistic regression on four
such numbers was fitted to people's maps, `benchmarks/quality/fit_appearance.py`; its average
linkage is the consensus 'appearance'.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior.atoms import Atoms
from bitdiff_jax.posterior.units import Units, make_units

# As many as there were when the coefficients were fitted: they weigh what all pairs look like.
MAX_UNITS = 600
# Shares nearer to 0 and 1 than this say no more: sixteen samples know nothing finer.
_LEAST_SHARE = 0.02
# The distance in CIE Lab that is small: the logarithm is nearly linear below it.
_SMALL_DISTANCE = 5.0


class Coefficients(NamedTuple):
    """Of the logit of the probability that two parts are one region to a person."""

    company: float  # the logit of how alike the probabilities are of lying with all other parts
    features: float  # the cosine of the encoder's features, less their mean over the image
    colours: float  # log(1 + distance in CIE Lab / 5)
    area: float  # the expected share of the image of the smaller region
    constant: float


COEFFICIENTS = Coefficients(
    company=0.385, features=0.949, colours=-0.761, area=-1.651, constant=0.764
)
# Clusters are joined as long as a person more probably joins them than not. Cut from .5 to .65, the
# mean ARI of 100 images was .572 to .576; from .7 on it fell.
MAX_APART = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Appearance:
    """What an image looks like, at any resolution.

    Attributes:
        colours: float [h, w, 3] in CIE Lab, L in 0..100.
        features: float [h, w, C], an encoder's; of any scale.
        coefficients: by which a person joins two parts; those of examples, see `likeness`.
        max_apart: mean probability of lying apart up to which parts are joined, in [0, 1].
    """

    colours: np.ndarray
    features: np.ndarray
    coefficients: Coefficients = COEFFICIENTS
    max_apart: float = MAX_APART

    def __post_init__(self) -> None:
        for name in ("colours", "features"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        colours, features = np.shape(self.colours), np.shape(self.features)
        if len(colours) != 3 or colours[2] != 3 or not np.prod(colours):
            raise InputError(f"colours must be CIE Lab [h, w, 3], got an array of shape {colours}")
        if len(features) != 3 or features[:2] != colours[:2] or not features[2]:
            raise InputError(
                f"features must be [{colours[0]}, {colours[1]}, C] as the colours are, got an "
                f"array of shape {features}"
            )
        for name in ("colours", "features"):
            values = getattr(self, name)
            if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
                raise InputError(f"{name} must be finite numbers; leave out what is not known")


def units_of(atoms: Atoms, kept: ArrayLike = ()) -> Units:
    """What is compared: the `MAX_UNITS` largest atoms, some besides, and what they absorb."""
    return make_units(atoms, MAX_UNITS, kept)


def pair_features(atoms: Atoms, units: Units, appearance: Appearance) -> np.ndarray:
    """The numbers of each pair of units that `Coefficients` speaks of.

    Args:
        atoms: of the label maps.
        units: of the atoms.
        appearance: of the image; of another size than the maps, each pixel looks like the nearest.

    Returns:
        float64 [u, u, 4], symmetric; in the order of `Coefficients`.
    """
    shares = units.areas / units.areas.sum()
    together = units.together
    alike = np.clip(_cosines(together * np.sqrt(shares)), _LEAST_SHARE, 1 - _LEAST_SHARE)
    pixels = _pixels_by_cell(atoms, units, appearance.colours.shape[:2])
    colours, features = (
        np.asarray(pixels @ np.reshape(values, (-1, np.shape(values)[2])).astype(np.float64))
        for values in (appearance.colours, appearance.features)
    )
    square = (colours**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * colours @ colours.T, 0))
    expected_area = together @ shares
    return np.stack(
        [
            np.log(alike) - np.log1p(-alike),
            _cosines(features - shares @ features),
            np.log1p(distance / _SMALL_DISTANCE),
            np.minimum(expected_area[:, None], expected_area),
        ],
        axis=-1,
    )


def affinity(atoms: Atoms, units: Units, appearance: Appearance) -> np.ndarray:
    """The probability that a person joins two units, by the coefficients of `appearance`.

    Args:
        atoms: of the label maps.
        units: of the atoms.
        appearance: of the image.

    Returns:
        float64 [u, u], symmetric; 1 on the diagonal.
    """
    return probability(pair_features(atoms, units, appearance), appearance.coefficients)


def probability(features: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """The logistic function of the features of pairs.

    Args:
        features: float [u, u, 4], see `pair_features`.
        coefficients: of the logit.

    Returns:
        float64 [u, u]; 1 on the diagonal.
    """
    *slopes, constant = coefficients
    joined: np.ndarray = 1 / (1 + np.exp(-(features @ np.array(slopes) + constant)))
    np.fill_diagonal(joined, 1)
    return joined


def _cosines(rows: np.ndarray) -> np.ndarray:
    """float64 [u, u], between all rows; 0 with a row of zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit_rows = rows / np.where(lengths > 0, lengths, 1)
    cosines: np.ndarray = unit_rows @ unit_rows.T
    return cosines


def _pixels_by_cell(atoms: Atoms, units: Units, shape: tuple[int, int]) -> sparse.csr_matrix:
    """[u, h * w], of each unit the share of its pixels that look like each cell; rows sum to 1."""
    rows, columns = (
        (2 * np.arange(large) + 1) * small // (2 * large)
        for small, large in zip(shape, atoms.index.shape, strict=True)
    )
    known = atoms.index >= 0
    unit = units.unit[atoms.index[known]]
    cell = (rows[:, None] * shape[1] + columns)[known]
    size = (len(units.areas), shape[0] * shape[1])
    return sparse.csr_matrix((1 / units.areas[unit], (unit, cell)), shape=size)
