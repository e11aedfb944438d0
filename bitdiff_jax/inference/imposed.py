"""What label maps of an image are told to hold: known regions, points together, points apart.

A caller knows pixels of some regions (`keep`), points that lie in one region (`same`), and points
that lie in two (`different`). `groups_of` makes groups of pixels of it, each of which lies in one
region, and says which groups lie apart. What no map can meet is refused there, before anything is
drawn. Other pixels are free: they may join any region.

The network draws fewer pixels than the image has. A cell of its map is imposed where a group covers
more than half of it; a part of a group that covers half of no cell, as a point or a scribble does,
is imposed on the cells that it touches. `held_maps` brings the pixels themselves into a map of the
image's size.
"""

import dataclasses
import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from bitdiff_jax.data import labelmaps
from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.constraints import Pairs, as_pairs

_PAIRS = ("same", "different")
_POINTS = ("inside", "outside")


@dataclasses.dataclass(frozen=True, eq=False)
class Constraints:
    """What is known of the regions of an image, and what is asked of them; nothing by default.

    What is known is imposed, and holds at every pixel. What is asked is for models that were
    trained with prompts, and is followed as they have learned to (`inference.asked`).

    Attributes:
        keep: integers [h, w] of the image's shape: pixels of one id lie in one region, those of two
            ids in two; negative = unknown. The ids are mere names, but for a model that knows its
            background: there 0 is the background.
        same: pairs (p, q) of points (row, column) that lie in one region.
        different: pairs of points that lie in two regions.
        prompt_weight: of the guidance by what is known, finite and >= 0: 1 is for the conditional
            distribution, more follows the prompt more closely, and 0 imposes the pixels alone, in a
            fraction of the time.
        granularity: asked number of regions, beside the background if the model knows one.
        inside: points (row, column) that lie in one region, which is asked for; of a model that
            was not trained with points it is read off its samples, see `inference.clicked`.
        outside: points that lie outside of that region.
        box: (top, left, bottom, right) of that region, in pixels; its last row is bottom - 1.
    """

    keep: ArrayLike | None = None
    same: Pairs = ()
    different: Pairs = ()
    prompt_weight: float = 1.0
    granularity: float | None = None
    inside: Pairs = ()
    outside: Pairs = ()
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        for name in _PAIRS:
            object.__setattr__(self, name, as_pairs(getattr(self, name), name))
        for name in _POINTS:
            object.__setattr__(self, name, _as_points(getattr(self, name), name))
        weight = self.prompt_weight
        real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not real or not 0 <= weight < math.inf:
            raise InputError(
                f"prompt_weight is {weight!r}; give a finite number of 0 or more, 1 for the "
                "conditional distribution"
            )

    def __bool__(self) -> bool:
        """Whether anything is known or asked."""
        return self.imposes or self.asks

    @property
    def imposes(self) -> bool:
        """Whether anything is known, which is imposed."""
        return self.keep is not None or bool(self.same or self.different)

    @property
    def asks(self) -> bool:
        """Whether anything is asked."""
        named = self.granularity is not None or self.box is not None
        return named or bool(self.inside or self.outside)

    def together_with(self, others: "Constraints") -> "Constraints":
        """These and the pairs of others."""
        same, different = (*self.same, *others.same), (*self.different, *others.different)
        return dataclasses.replace(self, same=same, different=different)


class Groups(NamedTuple):
    """Pixels that lie in one region, group by group."""

    pixels: np.ndarray  # int32 [h, w], the group of each pixel of the image, -1 where it is free
    cells: np.ndarray  # int32 [h', w'], the same of the map that the network draws
    apart: np.ndarray  # bool [g, g], whether two groups lie in two regions
    background: int  # the group that is the background; -1 if none is known to be


class Imposed(NamedTuple):
    """What the samples of an image hold."""

    groups: Groups
    codes: np.ndarray  # int32 [n, g], the code of each group in each sample; -1 without cells

    def on_cells(self) -> np.ndarray:
        """int32 [n, h', w'], the codes of the cells, -1 where they are free."""
        cells = self.groups.cells
        return np.where(cells < 0, -1, self.codes[:, cells])

    def taken(self, samples: np.ndarray) -> "Imposed":
        """The same of some of the samples."""
        return self._replace(codes=self.codes[samples])


def _as_points(given: Any, name: str) -> tuple[Any, ...]:
    try:
        return tuple(given)
    except TypeError:
        raise InputError(
            f"{name} is {points.brief(given)}; give points (row, column), or () for none"
        ) from None


def groups_of(
    constraints: Constraints,
    shape: tuple[int, int],
    resolution: tuple[int, int],
    num_codes: int,
    has_background: bool = False,
) -> Groups:
    """The groups that constraints make.

    Args:
        constraints: what is known.
        shape: (h, w) of the image.
        resolution: (h', w') of the map that the network draws.
        num_codes: regions that a map can have.
        has_background: whether id 0 of `keep` is the background.

    Raises:
        InputError: `keep` has another shape or type, or knows no pixel or too many regions; a point
            is none or lies outside; or the constraints contradict each other.
    """
    ids, pixels = _kept(constraints.keep, shape, num_codes, has_background)
    flat = pixels.ravel()
    where = np.arange(flat.size, dtype=np.int64).reshape(shape)
    pairs = {name: _pairs(getattr(constraints, name), where, name) for name in _PAIRS}
    named = np.unique(np.concatenate([pairs[name].ravel() for name in _PAIRS]))
    alone = named[flat[named] < 0]
    flat[alone] = len(ids) + np.arange(len(alone))
    same, different = (flat[pairs[name]] for name in _PAIRS)
    count = len(ids) + len(alone)
    joined = sparse.coo_array((np.ones(len(same), bool), tuple(same.T)), (count, count))
    group = csgraph.connected_components(joined, directed=False)[1]
    _check_kept(ids, group[: len(ids)])
    apart = np.zeros((group.max() + 1,) * 2, bool)
    kept = group[: len(ids)]
    apart[np.ix_(kept, kept)] = ~np.eye(len(ids), dtype=bool)
    for ends, pixel_pair in zip(group[different], pairs["different"], strict=True):
        if pixel_pair[0] == pixel_pair[1]:
            raise InputError(
                f"different: ({_text(pixel_pair[0], shape)}) is named twice in one pair; name two "
                "points"
            )
        if ends[0] == ends[1]:
            p, q = (_text(pixel, shape) for pixel in pixel_pair)
            raise InputError(
                f"different: ({p}) and ({q}) lie in one region by keep or same; leave out one of "
                "the two constraints"
            )
        apart[ends, ends[::-1]] = True
    is_background = has_background and ids.size > 0 and ids[0] == 0
    background = int(group[0]) if is_background else -1
    others = np.delete(apart, background, axis=1) if is_background else apart
    # With fewer neighbours than codes, each group finds one that is left.
    if others.sum(1).max() >= num_codes - int(has_background):
        raise InputError(
            f"different: a point is to lie apart from {others.sum(1).max()} others, and the model "
            f"draws {num_codes - int(has_background)} regions at most; leave some pairs out"
        )
    pixels = np.where(pixels < 0, -1, group[pixels]).astype(np.int32)
    cells = _cells(pixels, resolution, len(apart))
    for pixel_pair in pairs["different"]:
        first, second = (
            at_cell(divmod(int(pixel), shape[1]), shape, resolution) for pixel in pixel_pair
        )
        if first == second:
            p, q = (_text(pixel, shape) for pixel in pixel_pair)
            raise InputError(
                f"different: ({p}) and ({q}) lie in one pixel of the {resolution[0]} x "
                f"{resolution[1]} that the network draws; choose points farther apart"
            )
    return Groups(pixels, cells, apart, background)


def _kept(
    keep: ArrayLike | None, shape: tuple[int, int], num_codes: int, has_background: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of `keep`, ascending, and the index of each pixel's id, int32 [h, w], -1 = free."""
    if keep is None:
        return np.zeros(0, np.int64), np.full(shape, labelmaps.IGNORE, np.int32)
    found = points.as_array(keep, "keep", f"integers of the image's shape, {shape}")
    if found.shape != shape or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            f"keep is {found.dtype} of shape {found.shape}; give integers of the image's shape, "
            f"{shape}"
        )
    if found.max() > np.iinfo(np.int64).max:
        raise InputError(f"keep: id {found.max()} is 2^63 or more; give smaller ids, 0 and on")
    if not (found >= 0).any():
        raise InputError("keep: all pixels are unknown; give some an id, or leave keep out")
    ids, pixels = labelmaps.renumber(np.maximum(found.astype(np.int64), labelmaps.IGNORE))
    most = num_codes - int(has_background and ids[0] != 0)
    if len(ids) > most:
        raise InputError(
            f"keep has {len(ids)} regions, and the model draws {most} at most; keep fewer"
        )
    return ids, pixels


def _pairs(pairs: Pairs, where: np.ndarray, name: str) -> np.ndarray:
    """int64 [m, 2], the raster indices of the points of each pair."""
    found = []
    for pair in pairs:
        pixels = points.atoms_at(where, pair, name)
        if pixels.shape != (2,):
            raise InputError(
                f"{name} must hold pairs of points ((row, column), (row, column)), got "
                f"{points.brief(pair)}"
            )
        found.append(pixels)
    return np.array(found, np.int64).reshape(-1, 2)


def _text(pixel: Any, shape: tuple[int, int]) -> str:
    row, column = divmod(int(pixel), shape[1])
    return f"row {row}, column {column}"


def _check_kept(ids: np.ndarray, group: np.ndarray) -> None:
    """Raises InputError if two regions of `keep` have become one group."""
    values, counts = np.unique(group, return_counts=True)
    for value in values[counts > 1]:
        first, second = ids[group == value][:2]
        raise InputError(
            f"same: its pairs join regions {first} and {second} of keep, which lie apart; give "
            "both one id in keep, or leave a pair out"
        )


def at_cell(
    point: tuple[int, int], shape: tuple[int, int], resolution: tuple[int, int]
) -> tuple[int, int]:
    """The cell of the drawn map in which the centre of a pixel lies."""
    row, column = (
        (2 * place + 1) * cells // (2 * side)
        for place, side, cells in zip(point, shape, resolution, strict=True)
    )
    return row, column


def _cells(pixels: np.ndarray, resolution: tuple[int, int], count: int) -> np.ndarray:
    """The group of each cell, int32 [h', w'], -1 where it is free."""
    height, width = pixels.shape
    if height < resolution[0] or width < resolution[1]:
        return labelmaps.at_centres(pixels, resolution)
    rows, columns = (
        (2 * np.arange(side) + 1) * cells // (2 * side)
        for side, cells in zip(pixels.shape, resolution, strict=True)
    )
    cell = rows[:, None] * resolution[1] + columns
    known, size = pixels >= 0, resolution[0] * resolution[1]
    covers = np.bincount(
        pixels[known].astype(np.int64) * size + cell[known], minlength=count * size
    )
    covers = covers.reshape(count, *resolution)
    mostly = 2 * covers > np.bincount(cell.ravel(), minlength=size).reshape(resolution)
    votes = covers * mostly
    free = ~mostly.any(0)
    for group in range(count):
        part = ndimage.label(covers[group], np.ones((3, 3)))[0]
        thin = ~np.isin(part, part[mostly[group]]) & free
        votes[group][thin] = covers[group][thin]
    return np.where(votes.any(0), votes.argmax(0), -1).astype(np.int32)
