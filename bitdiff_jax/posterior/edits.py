"""Single changes of a partition: two regions joined, one cut in two, a part given to another."""

from typing import Literal, NamedTuple

import numpy as np

from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.atoms import Atoms

Kind = Literal["merge", "split", "move"]


class Edit(NamedTuple):
    """A change of a partition of n things, atoms or pixels.

    Attributes:
        kind: 'merge' joins the regions of `part` and `other`; 'split' makes `part` a region of its
            own; 'move' puts it into the region of `other`.
        part: bool [n].
        other: bool [n], disjoint from `part`; of a split the rest of the region.
    """

    kind: Kind
    part: np.ndarray
    other: np.ndarray

    def applied(self, labels: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """The partition after the change.

        Args:
            labels: int [n], >= 0 in `part` and `other`. Edits before may have cut these up: their
                region is then the one that holds most of them.
            areas: int [n].

        Returns:
            A new array; a merge keeps the number of the region of `part`.
        """
        if self.kind == "split":
            return np.where(self.part, labels.max() + 1, labels)
        of_other = _region_of(self.other, labels, areas)
        if self.kind == "move":
            return np.where(self.part, of_other, labels)
        return np.where(labels == of_other, _region_of(self.part, labels, areas), labels)

    def touched(self, labels: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """bool [n]: the regions of a partition that the change concerns; all others stay."""
        regions = np.zeros(int(labels.max()) + 1, bool)
        if self.kind == "merge":
            regions[_region_of(self.part, labels, areas)] = True
        else:
            regions[labels[self.part]] = True
        if self.kind != "split":
            regions[_region_of(self.other, labels, areas)] = True
        found: np.ndarray = regions[labels]
        return found


def candidates(atoms: Atoms, labels: np.ndarray, count: int) -> list[Edit]:
    """Changes that bring a partition nearer to one of the samples or more.

    Where a region of a sample cuts one of the partition, the piece may be a region of its own or
    belong to the region that the sample's has most of; where it holds most of several, these may be
    one.

    Args:
        atoms: of the label maps.
        labels: int [a], >= 0, the partition.
        count: changes at most: those of the largest product of pixels changed and weight of the
            samples.

    Returns:
        The changes in an order that depends neither on ids nor on the order of the samples.
    """
    worth: dict[tuple[str, bytes, bytes], float] = {}
    found: dict[tuple[str, bytes, bytes], Edit] = {}

    def add(edit: Edit, pixels: float, weight: float) -> None:
        key = (edit.kind, edit.part.tobytes(), edit.other.tobytes())
        found.setdefault(key, edit)
        worth[key] = worth.get(key, 0.0) + weight * pixels

    for row, weight in zip(atoms.regions, atoms.weights, strict=True):
        meet = overlaps.overlap(labels, row, atoms.areas)
        own, of_sample = np.empty((2, len(meet.area)), np.intp)
        own[meet.pair], of_sample[meet.pair] = labels, row
        for region in range(int(row.max()) + 1):
            pairs = np.flatnonzero(of_sample == region)
            pairs = pairs[np.argsort(-meet.area[pairs], kind="stable")]
            largest = labels == own[pairs[0]]
            whole = [k for k in pairs if 2 * meet.area[k] > meet.area_x[k]]
            for k in whole[1:]:
                other = labels == own[k]
                add(Edit("merge", labels == own[whole[0]], other), meet.area_x[k], weight)
            for k in pairs:
                inside = labels == own[k]
                piece = meet.pair == k
                size = min(meet.area[k], meet.area_x[k] - meet.area[k])
                if size:
                    add(Edit("split", *_smaller_first(piece, inside & ~piece, atoms)), size, weight)
                    if own[k] != own[pairs[0]]:
                        add(Edit("move", piece, largest), meet.area[k], weight)
    order = sorted(found, key=lambda key: -round(worth[key], 6))
    return [found[key] for key in order[:count]]


def _smaller_first(
    one: np.ndarray, other: np.ndarray, atoms: Atoms
) -> tuple[np.ndarray, np.ndarray]:
    """Both pieces of a region, the smaller one first; of equals that with the later first atom."""
    sizes = int(atoms.areas[one].sum()), int(atoms.areas[other].sum())
    swap = sizes[0] > sizes[1] or (sizes[0] == sizes[1] and one.argmax() < other.argmax())
    return (other, one) if swap else (one, other)


def _region_of(where: np.ndarray, labels: np.ndarray, areas: np.ndarray) -> int:
    """The region that holds most of some things; of equals the lowest number."""
    return int(np.bincount(labels[where], areas[where]).argmax())
