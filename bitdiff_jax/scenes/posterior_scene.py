"""A picture and every way in which it may be cut into regions, with the probability of each.

The picture's atoms are the smallest pieces that any partition keeps together. Independent choices
say which atoms are joined, so a partition is one option of each choice, its probability is the
product of theirs, and everything asked of the posterior is a finite sum.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np

MAX_PARTITIONS = 256

Grouping = tuple[tuple[int, ...], ...]


class Choice(NamedTuple):
    """One independent question about a picture; no two choices speak of the same atom."""

    kind: str  # 'pair' | 'switch' | 'border' | 'clutter'
    cue: float  # what of the picture decides, as measured in it
    options: tuple[Grouping, ...]  # the same atoms each time, grouped into regions
    probabilities: np.ndarray  # float64 [number of options], sums to 1

    @property
    def atoms(self) -> list[int]:
        """The atoms it speaks of, in ascending order."""
        return sorted(atom for group in self.options[0] for atom in group)

    @property
    def joined(self) -> np.ndarray:
        """int [options, atoms]: the first atom of the region of each of `atoms`."""
        rows = [{atom: min(group) for group in option for atom in group} for option in self.options]
        return np.array([[row[atom] for atom in self.atoms] for row in rows])


@dataclasses.dataclass(frozen=True, eq=False)
class PosteriorScene:
    """A picture whose posterior over whole partitions is known exactly.

    Attributes:
        name: of the picture.
        image: uint8 [h, w, 3].
        atoms: int32 [h, w], ids 0 .. A - 1, each of which occurs.
        choices: what is open. Atoms that no choice speaks of are regions of their own.
    """

    name: str
    image: np.ndarray
    atoms: np.ndarray
    choices: tuple[Choice, ...]

    @property
    def num_atoms(self) -> int:
        """A."""
        return int(self.atoms.max()) + 1

    @functools.cached_property
    def regions(self) -> np.ndarray:
        """int32 [K, A]: the region, 0 .. n - 1, of each atom in each of the K <= 256 partitions."""
        table = np.arange(self.num_atoms)[None]
        for choice in self.choices:
            repeats = len(table)
            table = np.repeat(table, len(choice.options), axis=0)
            table[:, choice.atoms] = np.tile(choice.joined, (repeats, 1))
        return _number(table)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """float64 [K], of the partitions in the order of `regions`."""
        product = np.ones(1)
        for choice in self.choices:
            product = np.outer(product, choice.probabilities).ravel()
        return product

    @functools.cached_property
    def same(self) -> np.ndarray:
        """float64 [A, A]: the probability that two atoms lie in one region; 1 on the diagonal."""
        joined = self.regions[:, :, None] == self.regions[:, None, :]
        return np.tensordot(self.probabilities, joined, axes=1)

    def partition(self, index: int) -> np.ndarray:
        """The partition of a row of `regions`, int32 [h, w] with ids 0 .. n - 1."""
        return self.regions[index][self.atoms]

    def mode(self) -> int:
        """Index of the most probable partition; the first of equals."""
        return int(np.argmax(self.probabilities))

    def posterior(self) -> list[tuple[np.ndarray, float]]:
        """Every partition, int32 [h, w], and its probability; no two of them are alike."""
        return [(self.partition(k), float(p)) for k, p in enumerate(self.probabilities)]

    def entropy(self) -> float:
        """Entropy of the posterior in nats."""
        return -math.fsum(
            p * math.log(p) for choice in self.choices for p in choice.probabilities if p > 0
        )

    def prob_same(self, pixels_a: np.ndarray, pixels_b: np.ndarray) -> np.ndarray:
        """Probability that two pixels lie in one region.

        Args:
            pixels_a: integers [..., 2], (row, column).
            pixels_b: integers [..., 2].

        Returns:
            float64 [...].
        """
        first, second = np.asarray(pixels_a), np.asarray(pixels_b)
        return self.same[self.atoms[first[..., 0], first[..., 1]],
                         self.atoms[second[..., 0], second[..., 1]]]  # fmt: skip

    def draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Independent partitions at random, int32 [count, h, w] with ids 0 .. n - 1."""
        table = np.tile(np.arange(self.num_atoms), (count, 1))
        for choice in self.choices:
            cumulated = np.cumsum(choice.probabilities)
            # The last sum may be a rounding below 1, and the number drawn above it.
            drawn = np.searchsorted(cumulated[:-1], rng.random(count), side="right")
            table[:, choice.atoms] = choice.joined[drawn]
        return _number(table)[:, self.atoms]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A partition at random, int32 [h, w] with ids 0 .. n - 1."""
        return self.draws(rng, 1)[0]


def _number(table: np.ndarray) -> np.ndarray:
    """Names by first atom [K, A] -> int32 ids 0 .. n - 1 in the order of first atoms."""
    first = table == np.arange(table.shape[1])
    ids = np.cumsum(first, axis=1, dtype=np.int32) - 1
    return ids[np.arange(len(table))[:, None], table]
