"""Images larger than the model: a map of the whole, then tiles of ever more detail that agree.

A network draws as many pixels of a panorama as of a stamp, so that little of a large image is left
in its map. Here the whole image is drawn first, then its four quarters, and so on, each level of at
most twice the size of the one before, until tiles are drawn at the image's own pixels. Tiles of one
level overlap by a quarter, and each is drawn for itself, which makes them disagree. `tile_names`
says what of a tile is taken over into the map of its level: what the level before knows nothing of,
and edges. All else stays as the level before has it, in which there are no seams.
"""

import collections
import itertools
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from bitdiff_jax.inference import image_windows, tile_names, tile_parts
from bitdiff_jax.inference.request import check_integer
from bitdiff_jax.inference.tile_names import Ids
from bitdiff_jax.inference.tile_parts import Parts, Tile

MIN_TILE_SIZE = 32
_MARGIN = 8  # the tile's side is so many times its margin, which neighbours draw too
_CUT = 0.05  # of the length over which a region goes from tile to tile, beside what edges err
_FREE = -1
_STRIP = 256  # rows of a map that are read at once
_FACTOR = 2  # by which a level is larger than the one before, at most

# Draws images, each of its name: label maps int32 [h, w] in their order, 0 for a background only.
Draw = Callable[[Iterable[tuple[str, np.ndarray]]], Iterator[np.ndarray]]


def levels_of(shape: tuple[int, int], tile_size: int) -> list[tuple[int, int]]:
    """The sizes at which an image is drawn, from that of one tile to its own.

    Args:
        shape: (h, w) of the image.
        tile_size: side of a tile in pixels.
    """
    shrunk = tile_size / max(shape)
    count = max(0, math.ceil(-math.log(shrunk, _FACTOR) - 1e-9))
    return [
        (
            max(1, round(shape[0] * shrunk ** (step / count))),
            max(1, round(shape[1] * shrunk ** (step / count))),
        )
        for step in range(count, 0, -1)
    ] + [shape]


def tiles_of(shape: tuple[int, int], tile_size: int) -> list[list[Tile]]:
    """The tiles of an image in their grid; what they keep covers it once.

    Args:
        shape: (h, w) of the image.
        tile_size: side of a tile in pixels, at most; all of an image are about as large.
    """
    rows, columns = (_spans(side, tile_size) for side in shape)
    return [[Tile(*row, *column, shape) for column in columns] for row in rows]


def num_tiles(shape: tuple[int, int], tile_size: int) -> int:
    """How many tiles are drawn of an image, those of all levels together.

    Args:
        shape: (h, w) of the image.
        tile_size: side of a tile in pixels.
    """
    grids = (tiles_of(level, tile_size) for level in levels_of(shape, tile_size))
    return sum(len(grid) * len(grid[0]) for grid in grids)


def _spans(side: int, tile_size: int) -> list[tuple[slice, slice]]:
    """(what is drawn, what is kept) along one side of an image."""
    margin = tile_size // _MARGIN
    # Of equal length: a narrow rest would be drawn from too little.
    count = 1 if side <= tile_size else -(-side // (tile_size - 2 * margin))
    ends = [i * side // count for i in range(count + 1)]
    return [
        (slice(max(0, start - margin), min(side, end + margin)), slice(start, end))
        for start, end in itertools.pairwise(ends)
    ]


def segment_tiled(
    draw: Draw,
    image: Any,
    *,
    tile_size: int,
    has_background: bool = False,
    name: str = "",
    out: Any = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> Any:
    """Draws one label map of an image of any size, tile by tile.

    Memory holds a few tiles. What grows with the image, maps and tiles of one level, lies in
    unnamed temporary files: 11 bytes a pixel.

    Args:
        draw: draws tiles.
        image: uint8 [h, w, 3]; anything that has a shape and gives arrays of its parts for
            `image[rows, columns]`, such as a memory map or an array of zarr.
        tile_size: side of a tile in pixels, at least 32. A quarter of it overlaps on either axis.
        has_background: whether 0 is a background in the maps that are drawn.
        name: of the image; tiles are named after it.
        out: what the map is written to, for `out[rows, columns] = ids`; None for a new array.
        on_tile: called after each tile with the number of tiles drawn and of all tiles.

    Returns:
        `out`, or int32 [h, w], ids 1 to n, the largest region first; 0 is the background if the
        model knows one.

    Raises:
        InputError: the image is none, or `tile_size` is too small.
    """
    shape = image_windows.shape_of(image)
    check_integer("tile_size", tile_size, MIN_TILE_SIZE)
    out = np.zeros(shape, np.int32) if out is None else out
    levels = levels_of(shape, tile_size)
    grids = [tiles_of(level, tile_size) for level in levels]
    total = num_tiles(shape, tile_size)

    def parts() -> Iterator[tuple[str, np.ndarray]]:
        for number, tile in _each(grids):
            part = image_windows.window(image, levels[number], tile.rows, tile.columns)
            yield f"{name} {number} {tile.rows.start} {tile.columns.start}", part

    def told() -> Iterator[np.ndarray]:
        for number, labels in enumerate(draw(parts()), 1):
            yield labels
            if on_tile is not None:
                on_tile(number, total)

    drawn = told()  # of all levels, so that batches need not end with them
    coarser = next(drawn)
    ids = Ids(int(coarser.max()))
    if len(levels) == 1:
        out[:, :] = coarser
    for level, grid in zip(levels[1:], grids[1:], strict=True):
        found = out if level == shape else _on_disk(level, np.int32)
        _refine(grid, drawn, coarser, found, tile_size, has_background, ids)
        coarser = found
    next(drawn, None)  # the last call of on_tile
    _number(out, len(ids), has_background)
    return out


def _each(grids: list[list[list[Tile]]]) -> Iterator[tuple[int, Tile]]:
    """(level, tile) in the order in which they are drawn."""
    for number, grid in enumerate(grids):
        for tile in itertools.chain(*grid):
            yield number, tile


def _refine(
    grid: list[list[Tile]],
    drawn: Iterator[np.ndarray],
    coarser: Any,
    out: Any,
    tile_size: int,
    has_background: bool,
    ids: Ids,
) -> None:
    """Writes the map of a level, of its tiles and of the level before."""
    shape = grid[0][0].shape
    sizes = _areas(coarser, len(ids)) * (math.prod(shape) / math.prod(coarser.shape))
    maps = _on_disk((len(grid), len(grid[0]), tile_size, tile_size), np.uint16)
    parts: dict[tuple[int, int], Parts] = {}
    loose: dict[tuple[int, int], dict[int, int]] = {}
    places = [(row, column) for row in range(len(grid)) for column in range(len(grid[0]))]

    def labels_of(place: tuple[int, int]) -> np.ndarray:
        height, width = grid[place[0]][place[1]].size
        return np.asarray(maps[place][:height, :width])

    for place, labels in zip(places, drawn, strict=False):  # more are drawn for finer levels
        tile = grid[place[0]][place[1]]
        maps[place][: tile.size[0], : tile.size[1]] = labels
        parts[place] = tile_parts.parts_of(
            tile, labels, _part_of(coarser, tile), sizes, has_background
        )
        loose[place] = {}
        for before in ((place[0] - 1, place[1]), (place[0], place[1] - 1)):
            if before not in parts:
                continue
            there, here = grid[before[0]][before[1]].overlap(tile)
            for first, second in tile_parts.alike(
                labels_of(before)[there], labels[here], (parts[before].loose, parts[place].loose)
            ):
                if first not in loose[before]:
                    loose[before][first] = ids.make()
                region = loose[before][first]
                ids.join(loose[place].setdefault(second, region), region)
    kept = _ending_well(grid, labels_of, parts, loose, ids)
    for place, regions in kept.items():
        for label, region in regions.items():
            if parts[place].main[label]:
                ids.join(region, int(parts[place].part_of[label]))
    table = ids.table()
    outgrown = table[np.unique(np.concatenate([each.outgrown for each in parts.values()]))]
    settled = _on_disk(shape, np.bool_)
    for place in places:
        tile = grid[place[0]][place[1]]
        labels = labels_of(place)
        agreed = np.ones(tile.size, bool)
        for other in itertools.product(*(range(max(0, at - 1), at + 2) for at in place)):
            if other in parts:
                there, here = grid[other[0]][other[1]].overlap(tile)
                part_of = table[parts[other].part_of][labels_of(other)[there]]
                agreed[here] &= part_of == table[parts[place].part_of][labels[here]]
        tile_names.write(
            tile, labels, table[_part_of(coarser, tile)], parts[place].joined(table), agreed,
            outgrown, kept[place], ids, out, settled,
        )  # fmt: skip


def _ending_well(
    grid: list[list[Tile]],
    labels_of: Callable[[tuple[int, int]], np.ndarray],
    parts: dict[tuple[int, int], Parts],
    loose: dict[tuple[int, int], dict[int, int]],
    ids: Ids,
) -> dict[tuple[int, int], dict[int, int]]:
    """The loose labels of regions that are not cut, over some length, where tiles meet."""
    tables = {}
    for place, regions in loose.items():
        tables[place] = np.full(len(parts[place].areas), _FREE, np.int64)
        for label, region in regions.items():
            tables[place][label] = ids.of(region)
    cut: dict[int, float] = collections.defaultdict(float)
    for place in loose:
        tile = grid[place[0]][place[1]]
        for axis, after in enumerate(((place[0] + 1, place[1]), (place[0], place[1] + 1))):
            if after not in loose:
                continue
            next_tile = grid[after[0]][after[1]]
            here = tables[place][np.take(labels_of(place)[tile.kept], -1, axis)]
            there = tables[after][np.take(labels_of(after)[next_tile.kept], 0, axis)]
            for region in np.unique([here, there]).tolist():
                ends, both = (here == region) != (there == region), (here == region)
                cut[region] += float(ends.sum() - _CUT * both.sum() - tile_parts.err(tile))
    return {
        place: {label: each for label, each in regions.items() if cut[ids.of(each)] <= 0}
        for place, regions in loose.items()
    }


def _part_of(coarser: Any, tile: Tile) -> np.ndarray:
    """The ids of the coarser map at the pixels of a tile."""
    rows, columns = (
        (2 * np.arange(part.start, part.stop) + 1) * small // (2 * large)
        for part, small, large in zip(
            (tile.rows, tile.columns), coarser.shape, tile.shape, strict=True
        )
    )
    part = np.asarray(coarser[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    found: np.ndarray = part[rows[:, None] - rows[0], columns - columns[0]]
    return found


def _areas(label_map: Any, num_ids: int) -> np.ndarray:
    """int64 [num_ids], pixels of each region."""
    areas = np.zeros(num_ids, np.int64)
    for row in range(0, label_map.shape[0], _STRIP):
        areas += np.bincount(
            np.asarray(label_map[row : row + _STRIP, :]).ravel(), minlength=num_ids
        )
    return areas


def _number(out: Any, num_ids: int, has_background: bool) -> None:
    """Numbers the regions of a map 1..n, the largest first, as `region_table.number` does."""
    areas = _areas(out, num_ids)
    order = np.argsort(-areas, kind="stable")
    order = order[(areas[order] > 0) & ((order > 0) | (not has_background))]
    table = np.zeros(num_ids, np.int32)
    table[order] = np.arange(1, len(order) + 1)
    for row in range(0, out.shape[0], _STRIP):
        strip = slice(row, row + _STRIP)
        out[strip, :] = table[np.asarray(out[strip, :])]


def _on_disk(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An array in a temporary file that is gone with the array."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape)
