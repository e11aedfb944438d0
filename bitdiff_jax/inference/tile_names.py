"""What of a tile is taken over into the map of a large image, and under which ids.

The coarser map has a region at every pixel, and no seams. Against it a tile may say three things:

- A label that is **whole** in the tile is a region, as the tile draws it: under the id of the
  coarser region that it coincides with, or under a new one. It is written where it lies, beyond
  what the tile keeps too; of tiles that see it, that one does so in which its middle lies.
- A label that **goes on** beyond the tile, and that the coarser map does not know (such as a road,
  too narrow to be seen before), is a region if the next tile has it too: both coincide in what both
  draw. From tile to tile it so becomes one region, of any length, and what the coarser map knows of
  it is joined to it. Where it would end, over some length, because a tile ends, it is dropped.
- All other labels are parts of coarser regions, of which they only move the **edges**: by no more
  than the coarser map may err, and less and less towards what other tiles keep, but where these
  say the same. So no two tiles say different things of neighbouring pixels.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from bitdiff_jax.inference.tile_parts import Parts, Tile, err

_FREE = -1


class Ids:
    """The ids of regions, and which of them are one region."""

    def __init__(self, count: int):
        """The ids 0 to `count` are given away; more are made as need be."""
        self._parent = list(range(count + 1))

    def __len__(self) -> int:
        """How many ids were given away."""
        return len(self._parent)

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

    def table(self) -> np.ndarray:
        """int64 [len(self)], the ids that all regions have by now."""
        return np.array([self.of(region) for region in range(len(self))])


def write(
    tile: Tile,
    labels: np.ndarray,
    coarser: np.ndarray,
    parts: Parts,
    agreed: np.ndarray,
    outgrown: np.ndarray,
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
        outgrown: int [m], regions of the coarser map that labels of any tile have taken over.
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
    moved = _edges_moved(tile, coarser, parts.part_of[labels], agreed, outgrown)
    named = np.where(table[labels] >= 0, table[labels], moved)
    whole = np.zeros(labels.shape, bool)
    for label in np.flatnonzero(parts.owned).tolist():
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
    tile: Tile, coarser: np.ndarray, part_of: np.ndarray, agreed: np.ndarray, outgrown: np.ndarray
) -> np.ndarray:
    """The coarser map, int [h, w], with the edges between its regions as the tile draws them."""
    reach = np.where(agreed, err(tile), np.minimum(tile.depth(), err(tile)))
    found = coarser.astype(np.int64)
    other = part_of != coarser
    for region in np.unique(part_of[other & (reach > 0)]):
        distance = ndimage.distance_transform_cdt(coarser != region, "chessboard")
        found[other & (part_of == region) & (distance <= reach)] = region
    # Of a region that a label has taken over, nothing else is left.
    left = other & np.isin(coarser, outgrown)
    found[left] = part_of[left]
    return found
