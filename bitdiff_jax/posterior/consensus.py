"""One partition for many: the consensus of weighted label maps under a criterion.

The exact optimum is out of reach (correlation clustering is NP-hard), so each search is greedy and
is followed by local improvement; the result is never worse, by its own criterion, than the medoid.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.posterior import appearance as appearance_lib
from bitdiff_jax.posterior import overlaps
from bitdiff_jax.posterior.agreement import are_medoids
from bitdiff_jax.posterior.answers import NONE as NO_ANSWERS
from bitdiff_jax.posterior.answers import Answers, held
from bitdiff_jax.posterior.appearance import Appearance
from bitdiff_jax.posterior.atoms import Atoms, by_first, largest_first
from bitdiff_jax.posterior.expected_losses import AdjustedRand, Binder, Information, PairLoss
from bitdiff_jax.posterior.merging import average_linkage, merge
from bitdiff_jax.posterior.moves import move
from bitdiff_jax.posterior.units import Units, make_units
from bitdiff_jax.posterior.voting import vote

# The criterion that asks for an `Appearance` besides the maps.
APPEARANCE = "appearance"
# The criteria that can hold answers.
LINKED = ("linkage", APPEARANCE)
# Mean probability of lying apart up to which 'linkage' joins.
MAX_APART = 0.7
# Units that a search moves about. With 2,000 instead the mean ARI of 16 noisy samples with 3,500
# atoms rose by .003, in three times the time.
MAX_SEARCHED = 1000
_MAX_ROUNDS = 5
_Method = Callable[[Atoms], np.ndarray]
_Search = Callable[[Units], np.ndarray]


def consensus(
    atoms: Atoms,
    criterion: str,
    appearance: Appearance | None = None,
    answers: Answers = NO_ANSWERS,
) -> np.ndarray:
    """The partition of the atoms that is best by a criterion, as far as it is found.

    Args:
        atoms: of the label maps.
        criterion: one of `CRITERIA`, or 'appearance':

            * 'binder': least expected Binder's loss (1978), which is highest expected Rand index.
              Greedy merging, then single moves and joins.
            * 'vi': least expected variation of information (Wade & Ghahramani 2018). Greedy
              merging, then single moves and joins.
            * 'ari': highest expected adjusted Rand index. Single moves and joins from the
              results of 'binder' and of 'vi'.
            * 'medoid': the partition among those given that has the least expected Binder's loss.
            * 'vote': the vote on each pixel after matching to the medoid, see `voting.vote`.
            * 'linkage': average linkage of the probabilities of lying apart, cut at .7, see
              `merging.average_linkage`; 'linkage:CUT' cuts it at another number in [0, 1]: less
              gives more and smaller regions.
            * 'appearance': average linkage of the probability that a person joins two parts, by
              the maps and by what the image looks like, see `appearance.affinity`.

        appearance: of the image, for 'appearance' alone.
        answers: what the partition has to hold, for 'linkage' and 'appearance' alone.

    Returns:
        intp [a], the region of each atom: 0 is the largest, of equals the one that begins first.

    Raises:
        InputError: there is no such criterion; it is 'appearance', and there is none; or there are
            answers, and it is one that cannot hold them.
    """
    check_criterion(criterion, also=(APPEARANCE,))
    name = criterion.partition(":")[0]
    if name not in LINKED and not answers.asked.size:
        return largest_first(CRITERIA[name](atoms), atoms.areas)
    linkage = linked(atoms, criterion, appearance, answers)
    cluster = average_linkage(linkage.units, linkage.max_apart)
    return largest_first(cluster[linkage.unit], atoms.areas)


class Linkage(NamedTuple):
    """What average linkage joins, and up to where.

    Attributes:
        units: what it begins with; two that `together` has at -inf may not be joined.
        max_apart: the largest distance at which clusters are joined.
        unit: intp [a], the one of the units that each atom is in.
    """

    units: Units
    max_apart: float
    unit: np.ndarray


def linked(
    atoms: Atoms, criterion: str, appearance: Appearance | None, answers: Answers
) -> Linkage:
    """What the average linkage of a criterion joins.

    Args:
        atoms: of the label maps.
        criterion: 'linkage', 'linkage:CUT' or 'appearance'.
        appearance: as in `consensus`.
        answers: as in `consensus`.

    Raises:
        InputError: as in `consensus`.
    """
    check_criterion(criterion, also=(APPEARANCE,))
    name, _, cut = criterion.partition(":")
    if name not in LINKED:
        raise InputError(
            f"criterion is {criterion!r}, which cannot hold answers; use one of {', '.join(LINKED)}"
        )
    max_apart = float(cut) if cut else MAX_APART
    if name == APPEARANCE:
        if appearance is None:
            raise InputError(
                f"criterion is {APPEARANCE!r}, and what the image looks like is not known; give "
                "`appearance`, or use vi"
            )
        units, max_apart = appearance_lib.units_of(atoms, answers.asked), appearance.max_apart
        joined = appearance_lib.affinity(atoms, units, appearance)
        units = dataclasses.replace(units, together=joined)
    else:
        units = make_units(atoms, kept=answers.asked)
    if not answers.asked.size:
        return Linkage(units, max_apart, units.unit)
    left, cluster = held(units, answers)
    return Linkage(left, max_apart, cluster[units.unit])


def check_criterion(criterion: str, name: str = "criterion", also: tuple[str, ...] = ()) -> None:
    """Raises InputError unless `criterion` is one that `consensus` knows, or allowed besides.

    Args:
        criterion: the one that was asked for.
        name: of the argument, for the message.
        also: words that are allowed besides.
    """
    known = (*CRITERIA, *also)
    method, colon, cut = str(criterion).partition(":")
    if colon and method == "linkage":
        try:
            valid = 0 <= float(cut) <= 1
        except ValueError:
            valid = False
        if not valid:
            raise InputError(
                f"{name} is {criterion!r}; cut the linkage at a number from 0 to 1, as in "
                "linkage:0.5"
            )
    elif criterion not in known:
        raise InputError(
            f"{name} is {criterion!r}; use one of {', '.join(known)}"
            f"{did_you_mean(str(criterion), known)}"
        )


def default_criterion(num_samples: int) -> str:
    """The criterion that measured best for a number of different samples, see docs/posterior.md.

    The medoid for 1 or 2; else 'vi', which was best by far with a model's samples, and with
    people's maps within .006 ARI of 'ari', the best there.
    """
    return "medoid" if num_samples < 3 else "vi"


def expected(atoms: Atoms, labels: np.ndarray, criterion: str) -> float:
    """What a criterion says of a partition of the atoms; it is exact.

    Args:
        atoms: of the label maps.
        labels: int [a], the region of each atom.
        criterion: 'binder' (expected share of pixel pairs wrongly joined or parted, 1 - Rand), 'vi'
            (bits), both low for good partitions, or 'ari', high for good ones.
    """
    measure = _EXACT[criterion]
    values = np.array([measure(labels, row, atoms.areas) for row in atoms.regions])
    value = float(atoms.weights @ values)
    pairs = atoms.num_pixels * (atoms.num_pixels - 1)
    return value / max(pairs, 1) if criterion == "binder" else value


def medoid(atoms: Atoms) -> np.ndarray:
    """The region of each atom in the medoid, int [a]; see `agreement.medoid`."""
    regions: np.ndarray = atoms.regions[_medoid_row(atoms)]
    return regions


def _merged(loss: PairLoss) -> _Search:
    return lambda units: merge(units, loss)


def _local_optimum(loss: PairLoss) -> _Search:
    return lambda units: _improved(units, loss, merge(units, loss))


def _improved(units: Units, loss: PairLoss | AdjustedRand, labels: np.ndarray) -> np.ndarray:
    """Moves of units and joins of clusters in turns, until neither helps."""
    for _ in range(_MAX_ROUNDS):
        before = labels
        labels = merge(units, loss, move(units, loss, labels))
        if np.array_equal(before, labels):
            break
    return labels


def _searched(
    criterion: str, loss: PairLoss | AdjustedRand, starts: tuple[_Search, ...]
) -> _Method:
    """The best of what is found from several starts, the medoid among them."""

    def method(atoms: Atoms) -> np.ndarray:
        units = make_units(atoms, MAX_SEARCHED)
        row = _medoid_row(atoms)
        begin = [start(units) for start in starts] + [by_first(units.columns[row])]
        found = [_improved(units, loss, labels)[units.unit] for labels in begin]
        # The medoid itself as well: its units need not be as good as its atoms.
        found.append(atoms.regions[row])
        values = [expected(atoms, labels, criterion) for labels in found]
        return found[int(np.argmax(values) if criterion == "ari" else np.argmin(values))]

    return method


def _linkage(atoms: Atoms) -> np.ndarray:
    return consensus(atoms, "linkage")


def _vote(atoms: Atoms) -> np.ndarray:
    return vote(atoms, _medoid_row(atoms))


def _medoid_row(atoms: Atoms) -> int:
    return int(np.argmax(are_medoids(atoms)))


_EXACT = {
    "binder": overlaps.disagreeing_pairs,
    "vi": overlaps.variation_of_information,
    "ari": overlaps.adjusted_rand_index,
}
CRITERIA: dict[str, _Method] = {
    "binder": _searched("binder", Binder(), (_merged(Binder()),)),
    "vi": _searched("vi", Information(), (_merged(Information()),)),
    "ari": _searched(
        "ari", AdjustedRand(), (_local_optimum(Binder()), _local_optimum(Information()))
    ),
    "medoid": medoid,
    "vote": _vote,
    "linkage": _linkage,
}
