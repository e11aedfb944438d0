"""What of a tile is taken over into the map of a large image, and under which ids.

The coarser map has a region at every pixel, and no seams. Against it a tile may say three things:

- A label that is **whole** in the tile is a region, as the tile draws it: under the id of the
  coarser region that it coincides with, or under a new one. It is written where it lies, beyond
  what the tile keeps too; of tiles that see it, that one does so in which its middle lies.
- A label that **goes on** beyond the tile, and is a minor part of a coarser region (such as a road,
  too narrow to be seen before), is a new region if the next tile has it too: both coincide in what
  both draw. From tile to tile it so becomes one region, of any length.
- All other labels are parts of coarser regions, of which they only move the **edges**: by no more
  than the coarser map may err, and less and less towards what other tiles keep, but where these
  say the same. So no two tiles say different things of neighbouring pixels.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from bitdiff_jax.inference.tile_parts import Parts, Tile

_FREE = -1
_REACH = 32  # the tile's side is so many times what an edge is moved by, at most


class Ids:
    """The ids of regions, and which of them are one region."""

    def __init__(self, count: int):
        """The ids 0 to `count` are given away; more are made as need be."""
        self._parent = list(range(count + 1))

    def make(self) -> int:
        """A new id."""
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def join(self, first: int, second: int) -> None:
        """Makes two regions one, under the older id."""
        low, high = sorted((self.of(first), self.of(second)))
        self._parent[high] = low

    def of(self, region: int) -> int:
        """The id that a region has by now."""
        root = region
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[region] != root:
            self._parent[region], region = root, self._parent[region]
        return root


def write(
    tile: Tile,
    labels: np.ndarray,
    coarser: np.ndarray,
    parts: Parts,
    agreed: np.ndarray,
    loose: dict[int, int],
    ids: Ids,
    out: Any,
    settled: np.ndarray,
) -> None:
    """Writes what a tile says into the map of its level.

    Args:
        tile: the tile.
        labels: integers [h, w], its map.
        coarser: int32 [h, w], the ids of the coarser map there.
        parts: what the labels are.
        agreed: bool [h, w], where all tiles that draw a pixel take it for a part of one region.
        loose: the ids of those labels that go on in the next tile.
        ids: of all regions.
        out: the map of the level, of which the tile's part is written.
        settled: bool of the level's shape, where regions that were whole have been written.
    """
    place = tile.rows, tile.columns
    done = np.array(settled[place])
    table = np.full(len(parts.areas), _FREE, np.int64)
    for label, region in loose.items():
        table[label] = ids.of(region)
    moved = _edges_moved(tile, coarser, parts.part_of[labels], agreed)
    named = np.where(table[labels] >= 0, table[labels], moved)
    whole = np.zeros(labels.shape, bool)
    for label in np.flatnonzero(parts.owned):
        inside = labels == label
        if 2 * (inside & done).sum() > parts.areas[label]:
            continue  # another tile has written the same
        named[inside] = parts.part_of[label] if parts.coincides[label] else ids.make()
        whole |= inside
    written = np.zeros(labels.shape, bool)
    written[tile.kept] = True
    written = (written | whole) & ~done
    out[place] = np.where(written, named, np.asarray(out[place]))
    settled[place] = done | whole


def _edges_moved(
    tile: Tile, coarser: np.ndarray, part_of: np.ndarray, agreed: np.ndarray
) -> np.ndarray:
    """The coarser map, int [h, w], with the edges between its regions as the tile draws them."""
    reach = max(1, max(tile.size) // _REACH)
    reach = np.where(agreed, reach, np.minimum(tile.depth(), reach))
    found = coarser.astype(np.int64)
    other = (part_of != coarser) & (reach > 0)
    for region in np.unique(part_of[other]):
        distance = ndimage.distance_transform_cdt(coarser != region, "chessboard")
        found[other & (part_of == region) & (distance <= reach)] = region
    return found
