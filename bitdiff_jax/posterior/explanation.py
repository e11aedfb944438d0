"""The few decisions in which samples differ from their consensus."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import entr

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import edits, overlaps, points
from bitdiff_jax.posterior.atoms import Atoms
from bitdiff_jax.posterior.edits import Edit, Kind

# Changes that are tried in each round.
_MAX_CANDIDATES = 256
# Pairs of decisions whose dependence is printed: of eight decisions there are 28.
_MAX_PAIRS = 3
# Bits below this are roundings.
_PRECISION = 1e-9
_WORDS: dict[Kind, str] = {
    "merge": "the regions of {p} and {q} are one",
    "split": "the part of {p} is a region apart from {q}",
    "move": "the part of {p} belongs to the region of {q}",
}


class Decision(NamedTuple):
    """A yes-or-no question about the partition; the consensus answers no.

    Attributes:
        kind: 'merge', two regions of the consensus are one; 'split', a part of one is a region of
            its own; 'move', a part of one belongs to another.
        p: (row, column), the most interior pixel of `part`.
        q: (row, column), that of `other`.
        probability: of the answer yes, the weight of the samples that it brings nearer.
        share: of the spread, what this decision explains after those before it.
        part: bool [h, w], the region that is joined, or the part that is cut off or moved.
        other: bool [h, w], the region that it is joined with, what is left of its region, or the
            region that it is moved to.
    """

    kind: Kind
    p: tuple[int, int]
    q: tuple[int, int]
    probability: float
    share: float
    part: np.ndarray
    other: np.ndarray

    def __str__(self) -> str:
        return _WORDS[self.kind].format(p=self.p, q=self.q)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """A consensus, and a few decisions that turn it into each of the samples, or nearly.

    Attributes:
        consensus: int32 [h, w], -1 = ignore.
        decisions: the decisions; each explains no more than those before it, but for decisions that
            pay only together.
        answers: bool [k, n], what each sample says to each decision; false for weight 0.
        dependence: float64 [k, k], what the answers to two decisions say about each other: their
            mutual information in bits, 0 if they are independent and the entropy of the answer if
            one follows from the other. On the diagonal the entropies. Of n samples it is too large,
            by 1 / (2 n ln 2) bits for independent ones (Miller 1955).
        spread: the expected variation of information of a sample from the consensus, in bits.
        explained: float64 [k], what share of the spread is gone with the first 1, 2, ... decisions.
    """

    consensus: np.ndarray
    decisions: tuple[Decision, ...]
    answers: np.ndarray
    dependence: np.ndarray
    spread: float
    explained: np.ndarray

    def label_map(self, answers: Sequence[bool] | np.ndarray) -> np.ndarray:
        """The map that answers to the decisions stand for.

        Args:
            answers: bool [k], one for each decision; `explanation.answers[:, i]` of sample i.

        Returns:
            int32 [h, w], -1 = ignore.

        Raises:
            InputError: there are more or fewer answers than decisions.
        """
        if len(answers) != len(self.decisions):
            raise InputError(
                f"there are {len(answers)} answers for {len(self.decisions)} decisions; give one "
                "each"
            )
        labels = self.consensus.ravel()
        areas = np.ones(len(labels), np.int64)
        for decision, answer in zip(self.decisions, answers, strict=True):
            if answer:
                edit = Edit(decision.kind, decision.part.ravel(), decision.other.ravel())
                labels = edit.applied(labels, areas)
        return labels.reshape(self.consensus.shape).astype(np.int32)

    def __repr__(self) -> str:
        share = self.explained[-1] if len(self.explained) else 0.0
        count = len(self.decisions)
        head = (
            f"{count} decision{'s' * (count != 1)} explain{'s' * (count == 1)} {share:.0%} of a "
            f"spread of {self.spread:.3f} bits"
        )
        lines = [
            f"{k:>3}  {decision.probability:4.0%}  {decision}  ({decision.share:.0%} of the spread)"
            for k, decision in enumerate(self.decisions, 1)
        ]
        return "\n".join([head, *lines, *self._dependence_lines()])

    def _dependence_lines(self) -> list[str]:
        """The pairs of decisions that share most, strongest first, and how many more there are."""
        bits = np.round(self.dependence, 2)
        entropies = bits.diagonal()
        pairs = np.argwhere(np.triu(bits > 0, 1)).tolist()
        pairs.sort(key=lambda pair: -bits[tuple(pair)])
        shown = [
            f"     {i + 1} and {j + 1} share {bits[i, j]:.2f} of {entropies[[i, j]].min():.2f} bits"
            for i, j in pairs[:_MAX_PAIRS]
        ]
        if len(pairs) > len(shown):
            i, j = pairs[_MAX_PAIRS]
            rest = len(pairs) - len(shown)
            shown.append(f"     {rest} more pair{'s' * (rest != 1)} share up to {bits[i, j]:.2f}")
        return shown


def explain(
    atoms: Atoms, labels: np.ndarray, max_decisions: int = 8, min_share: float = 0.01
) -> Explanation:
    """Finds decisions one after the other, each the one that explains most of what is left.

    Candidates are the changes that bring the consensus nearer to a sample, see `edits.candidates`.
    A sample answers yes where the change, made after those it said yes to before, brings the map
    nearer to it by variation of information. Switches in disjoint places, the variation of
    information being a sum over these, are found one by one, with their exact probabilities.

    Args:
        atoms: of the label maps.
        labels: int [a], >= 0, the region of each atom in the consensus.
        max_decisions: decisions at most.
        min_share: decisions that explain less of the spread than this are left out, in [0, 1].

    Raises:
        InputError: an argument is out of its range.
    """
    if not isinstance(max_decisions, int | np.integer) or max_decisions < 1:
        raise InputError(f"max_decisions is {max_decisions!r}; ask for 1 decision or more")
    if not 0 <= min_share <= 1:
        raise InputError(f"min_share is {min_share}; use a share in [0, 1], such as .01")
    search = _Search(atoms, labels)
    spread = float(
        atoms.weights
        @ [overlaps.variation_of_information(labels, row, atoms.areas) for row in atoms.regions]
    )
    while len(search.chosen) < max_decisions and search.add_best(min_share * spread):
        pass
    shares = np.array(search.gained) / spread if search.gained else np.zeros(0)
    said = np.array(search.said, bool).reshape(len(search.chosen), len(atoms.regions))
    return Explanation(
        atoms.label_map(labels),
        tuple(
            _decision(atoms, edit, float(atoms.weights @ answers), float(share))
            for edit, answers, share in zip(search.chosen, said, shares, strict=True)
        ),
        np.array([atoms.of_maps(each) for each in said], bool).reshape(-1, len(atoms.partition)),
        mutual_information(said, atoms.weights),
        spread,
        np.cumsum(shares),
    )


def mutual_information(answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mutual information in bits of each two of k yes-or-no answers; the diagonal is the entropy.

    Args:
        answers: bool [k, m].
        weights: float64 [m], probabilities of the m cases.

    Returns:
        float64 [k, k], >= 0.
    """
    sides = np.stack([answers, ~answers]).astype(np.float64)  # [2, k, m]
    joint = np.einsum("xim,yjm,m->xyij", sides, sides, weights).clip(0, 1)
    alone = np.einsum("xim,m->xi", sides, weights).clip(0, 1)
    entropy = entr(alone).sum(axis=0)
    nats = entropy[:, None] + entropy - entr(joint).sum(axis=(0, 1))
    bits: np.ndarray = np.round(nats / np.log(2), 9).clip(0) + 0.0
    return bits


class _Search:
    """The maps that the decisions so far stand for, one of each partition, and what is to gain."""

    def __init__(self, atoms: Atoms, labels: np.ndarray):
        self.atoms = atoms
        self.maps = np.tile(labels.astype(np.int64), (len(atoms.regions), 1))
        self.candidates = edits.candidates(atoms, labels, _MAX_CANDIDATES)
        self.chosen: list[Edit] = []
        self.said: list[np.ndarray] = []
        self.gained: list[float] = []
        self._gains = np.zeros((len(self.candidates), len(atoms.regions)))
        self._measure(range(len(atoms.regions)))

    def add_best(self, least: float) -> bool:
        """Adds the decision that explains most; false if none explains `least` or more."""
        if not self.candidates:
            return False
        total = np.round(self._gains @ self.atoms.weights, 9)
        best = int(total.argmax())
        if total[best] < max(least, _PRECISION):
            return False
        edit, yes = self.candidates[best], self._gains[best] > 0
        self.chosen.append(edit)
        self.said.append(yes)
        self.gained.append(float(total[best]))
        for row in np.flatnonzero(yes):
            self.maps[row] = edit.applied(self.maps[row], self.atoms.areas)
        self._measure(np.flatnonzero(yes))
        return True

    def _measure(self, rows: Sequence[int] | np.ndarray | range) -> None:
        """What each candidate would bring the map of each of these partitions nearer to it."""
        areas, pixels = self.atoms.areas, self.atoms.num_pixels
        for row in rows:
            labels, target = self.maps[row], self.atoms.regions[row]
            for k, edit in enumerate(self.candidates):
                inside = edit.touched(labels, areas)
                before = _distance(labels[inside], target[inside], areas[inside])
                edited = edit.applied(labels, areas)[inside]
                after = _distance(edited, target[inside], areas[inside])
                gain = (before - after) / pixels
                self._gains[k, row] = gain if gain > _PRECISION else 0.0


def _distance(x: np.ndarray, y: np.ndarray, areas: np.ndarray) -> float:
    """Bits times pixels, up to what depends on y alone."""
    joint = np.bincount(x * (int(y.max()) + 1) + y, areas)
    return _entropy(np.bincount(x, areas)) - 2 * _entropy(joint)


def _entropy(areas: np.ndarray) -> float:
    areas = areas[areas > 0]
    return float(areas @ np.log2(areas))


def _decision(atoms: Atoms, edit: Edit, probability: float, share: float) -> Decision:
    part, other = (np.append(each, False)[atoms.index] for each in (edit.part, edit.other))
    sides = np.where(part, 0, np.where(other, 1, -1))
    p, q = ((int(row), int(column)) for row, column in points.interior(sides, 2))
    return Decision(edit.kind, p, q, round(probability, 12), share, part, other)
