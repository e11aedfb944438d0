"""The consensus 'appearance' fitted to a few labelled pictures of one kind.

Five pictures cannot tell five numbers apart from chance, but much is known before: the package's
own `appearance.COEFFICIENTS`. So what is fitted is their posterior mode: the likelihood of which
parts of the examples a person joins, each picture one vote, times a Gaussian prior around the
package's numbers. Whether it is used at all is decided by the examples too, each scored with what
the others gave.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import appearance as appearance_lib
from bitdiff_jax.posterior.appearance import COEFFICIENTS, MAX_APART, Appearance, Coefficients
from bitdiff_jax.posterior.consensus import APPEARANCE, default_criterion
from bitdiff_jax.posterior.merging import average_linkage
from bitdiff_jax.posterior.posterior import Posterior
from bitdiff_jax.posterior.units import Units, joined

# More are a data set, of which a network learns more.
MAX_EXAMPLES = 50
# Precision of the prior, of coefficients per standard deviation of their features, in votes; chosen
# on other kinds of pictures, see docs/prompts.md.
STRENGTH = 0.1
CUTS = np.arange(0.4, 0.801, 0.05)
_PAIRS = 8000  # of each picture: as many pixels of the second part as of the first
_NUM_ITERATIONS = 30
_TOLERANCE = 1e-6
_KIND = "bitdiff_jax likeness"


class Example(NamedTuple):
    """What a labelled picture says.

    Attributes:
        units: the parts of its samples that are joined or not.
        features: float [u, u, 4], see `appearance.pair_features`.
        tables: of each person, pixels by part and region, float [u, regions].
        default: adjusted Rand index of the consensus without any example.
    """

    units: Units
    features: np.ndarray
    tables: tuple[np.ndarray, ...]
    default: float

    @property
    def joined(self) -> np.ndarray:
        """float [u, u], the share of people who join pixels of two parts."""
        shares = [t / np.maximum(t.sum(axis=1, keepdims=True), 1) for t in self.tables]
        return np.asarray(sum(s @ s.T for s in shares) / len(shares))


def check_examples(images: Sequence[Any], label_maps: Sequence[Any]) -> list[np.ndarray]:
    """The label maps of examples, of each integers [people, h, w].

    Raises:
        InputError: there are none, too many, not as many of both, a map is none, or all maps
            hold a single region.
    """
    if not 1 <= len(images) <= MAX_EXAMPLES:
        raise InputError(
            f"examples: there are {len(images)}; give 1 to {MAX_EXAMPLES} labelled pictures of one "
            "kind, and train a network on more"
        )
    if len(label_maps) != len(images):
        raise InputError(
            f"label_maps: there are {len(label_maps)} of {len(images)} images; give one of each"
        )
    maps = [np.asarray(each) for each in label_maps]
    for each in maps:
        if each.ndim not in (2, 3) or each.dtype.kind not in "iu" or not each.size:
            raise InputError(
                f"label_maps: a map is {each.dtype} {each.shape}; give integers [h, w], or "
                "[people, h, w]"
            )
    maps = [each[None] if each.ndim == 2 else each for each in maps]
    if all(len(np.unique(one[one >= 0])) < 2 for each in maps for one in each):
        raise InputError(
            "examples: no label map has two regions, so that they say nothing of where one ends; "
            "give a picture with two or more, and say zero=background if id 0 is what lies around "
            "the objects"
        )
    return maps


def example_of(
    posterior: Posterior, label_maps: Sequence[np.ndarray], default: str | None = None
) -> Example:
    """The example of a picture.

    Args:
        posterior: of samples of it, with `appearance`.
        label_maps: people's maps of it, integers [h, w] of the samples' shape, -1 = ignore.
        default: criterion of the consensus without examples; None for that of the number of
            samples.
    """
    atoms, looks = posterior.atoms, posterior.appearance
    assert looks is not None, "the model has no encoder"
    units = appearance_lib.units_of(atoms)
    features = appearance_lib.pair_features(atoms, units, looks).astype(np.float32)
    ids = [_numbered(label_map) for label_map in label_maps]
    unit = units.unit[atoms.index]
    tables = tuple(_table(unit, each, len(units.areas)) for each in ids)
    if default is None:
        default = default_criterion(len(atoms.regions))
    found = posterior.consensus(default)
    ari = np.mean([adjusted_rand(_table(found, each, int(found.max()) + 1)) for each in ids])
    return Example(units, features, tables, float(ari))


def fit(
    examples: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    strength: float = STRENGTH,
    toward: Coefficients = COEFFICIENTS,
) -> Coefficients:
    """The logistic regression of what people join on the features of pairs, by Newton's method.

    Args:
        examples: of each picture the features float [u, u, 4], the shares of people who join two
            parts, float [u, u], and the parts' areas, [u]. Each picture is one vote.
        strength: precision of the Gaussian prior, per standard deviation of a feature, in votes.
        toward: its mean.

    Returns:
        The most probable coefficients; `toward` if no picture has two parts.
    """
    rng = np.random.default_rng(0)
    inputs, targets, votes = [], [], []
    for features, by_people, areas in examples:
        i, j = rng.choice(len(areas), (2, _PAIRS), p=areas / areas.sum())
        i, j = i[i != j], j[i != j]  # pixels of one part tell nothing of the coefficients
        if len(i):
            inputs.append(features[i, j])
            targets.append(by_people[i, j])
            votes.append(np.full(len(i), 1 / len(i)))
    if not inputs:
        return toward
    x, y = np.concatenate(inputs).astype(np.float64), np.concatenate(targets)
    vote = np.concatenate(votes)
    mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    design = np.c_[(x - mean) / deviation, np.ones(len(x))]
    slopes = np.array(toward[:-1])
    prior = np.append(slopes * deviation, toward.constant + slopes @ mean)

    def loss(weights: np.ndarray) -> float:
        logits = design @ weights
        unlikely = vote @ (np.logaddexp(0, logits) - y * logits)
        return float(unlikely + strength / 2 * ((weights - prior) ** 2).sum())

    weights, reached = prior, loss(prior)
    for _ in range(_NUM_ITERATIONS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -50, 50)))
        gradient = design.T @ (vote * (p - y)) + strength * (weights - prior)
        curvature = (design * (vote * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(curvature + strength * np.eye(len(prior)), gradient)
        # Far from the optimum a whole step of Newton's may lead away from it.
        while (found := loss(weights - step)) > reached and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        if np.abs(step).max() <= _TOLERANCE:
            break
        weights, reached = weights - step, found
    slopes = weights[:-1] / deviation
    return Coefficients._make([*slopes.tolist(), float(weights[-1] - slopes @ mean)])


def fitted(examples: Sequence[Example], strength: float = STRENGTH) -> Coefficients:
    """`fit` of examples."""
    return fit(((e.features, e.joined, e.units.areas) for e in examples), strength)


def by_cut(
    example: Example, coefficients: Coefficients, cuts: Sequence[float] = tuple(CUTS)
) -> np.ndarray:
    """Adjusted Rand index for each of rising cuts of the linkage, float [cuts]."""
    together = appearance_lib.probability(example.features, coefficients)
    units = dataclasses.replace(example.units, together=together)
    label, found = np.arange(len(together)), []
    for cut in cuts:
        cluster = average_linkage(units, float(cut))
        label, units = cluster[label], joined(units, cluster)
        ari = [adjusted_rand(_grouped(table, label)) for table in example.tables]
        found.append(np.mean(ari))
    return np.array(found)


def adjusted_rand(table: np.ndarray) -> float:
    """The adjusted Rand index (Hubert & Arabie 1985) of a table of counts, [n, m]."""
    rows, columns, total = table.sum(axis=1), table.sum(axis=0), table.sum()
    both = (table * (table - 1)).sum()
    first, second = (rows * (rows - 1)).sum(), (columns * (columns - 1)).sum()
    expected = first * second / max(total * (total - 1), 1)
    most = (first + second) / 2
    return 1.0 if most == expected else float((both - expected) / (most - expected))


def _grouped(table: np.ndarray, label: np.ndarray) -> np.ndarray:
    grouped = np.zeros((int(label.max()) + 1, table.shape[1]))
    np.add.at(grouped, label, table)
    return grouped


def _numbered(label_map: np.ndarray) -> np.ndarray:
    """The same with ids from 0 on; negative ones, which are ignored, are -1."""
    numbers = np.unique(label_map[label_map >= 0])
    return np.where(label_map < 0, -1, np.searchsorted(numbers, label_map))


def _table(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    table = np.zeros((count, int(second.max()) + 1))
    known = (first >= 0) & (second >= 0)
    np.add.at(table, (first[known], second[known]), 1)
    return table


@dataclasses.dataclass(frozen=True)
class Likeness:
    """How one map is found for all samples of a picture, as labelled examples like it say.

    Attributes:
        coefficients: of the consensus 'appearance', fitted to the examples.
        max_apart: the cut of its linkage, in [0, 1].
        num_examples: pictures that it was fitted to.
        default: their mean adjusted Rand index without any example.
        fitted: the same of each with what was fitted to the others (of a single example, to
            itself).
    """

    coefficients: Coefficients
    max_apart: float
    num_examples: int
    default: float
    fitted: float

    @property
    def adopted(self) -> bool:
        """Whether the examples are better with what was fitted to the others than without."""
        return self.fitted > self.default

    @property
    def criterion(self) -> str | None:
        """Of the consensus: 'appearance' if it is adopted; None for the default."""
        return APPEARANCE if self.adopted else None

    def applied(self, appearance: Appearance) -> Appearance:
        """What a picture looks like, to be read as fitted."""
        return dataclasses.replace(
            appearance, coefficients=self.coefficients, max_apart=self.max_apart
        )

    def __str__(self) -> str:
        one = self.num_examples == 1
        scored = "scored with itself" if one else "each scored with what the others gave"
        text = (
            f"{self.num_examples} example{'' if one else 's'}, {scored}: adjusted Rand index "
            f"{self.fitted:.3f}, and {self.default:.3f} without; "
        )
        if not self.adopted:
            return text + "so nothing of them is adopted"
        numbers = ", ".join(
            f"{name} {value:.2f}" for name, value in self.coefficients._asdict().items()
        )
        return text + f"adopted: {numbers}, cut {self.max_apart:.3f}"

    def save(self, path: epath.PathLike) -> None:
        """Writes it as JSON.

        Raises:
            InputError: the place cannot be written.
        """
        values = {"kind": _KIND, **dataclasses.asdict(self)}
        values["coefficients"] = self.coefficients._asdict()
        files.write(path, (json.dumps(values, indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: epath.PathLike) -> "Likeness":
        """Reads what `save` wrote.

        Raises:
            InputError: there is no such file, or it is of another kind.
        """
        values = files.read_json(path)
        try:
            return cls._from_json(values)
        except (TypeError, KeyError, ValueError):
            raise InputError(
                f"{path}: is not a fitted likeness; give a file that --save_like or Likeness.save "
                "wrote, or labelled examples"
            ) from None

    @classmethod
    def _from_json(cls, values: dict[str, Any]) -> "Likeness":
        if values["kind"] != _KIND:
            raise ValueError
        found = {name: float(values["coefficients"][name]) for name in Coefficients._fields}
        scores = {name: float(values[name]) for name in ("max_apart", "default", "fitted")}
        count = int(values["num_examples"])
        if not (np.isfinite([*found.values(), *scores.values()]).all() and count > 0):
            raise ValueError
        if not 0 <= scores["max_apart"] <= 1:
            raise ValueError
        return cls(Coefficients(**found), num_examples=count, **scores)


def learn(examples: Sequence[Example], strength: float = STRENGTH) -> Likeness:
    """The likeness of examples.

    Args:
        examples: one or more, of one kind of picture.
        strength: see `fit`.
    """
    coefficients, max_apart = _chosen(examples, strength)
    scores = []
    for i, example in enumerate(examples):
        others = [*examples[:i], *examples[i + 1 :]]
        found, cut = _chosen(others, strength) if others else (coefficients, max_apart)
        scores.append(by_cut(example, found, (cut,))[0])
    default = float(np.mean([example.default for example in examples]))
    return Likeness(coefficients, max_apart, len(examples), default, float(np.mean(scores)))


def _chosen(examples: Sequence[Example], strength: float) -> tuple[Coefficients, float]:
    """The coefficients that are fitted to examples, and the cut that is best for them.

    Of cuts that are equally good it is the one nearest to the package's.
    """
    coefficients = fitted(examples, strength)
    scores = np.mean([by_cut(example, coefficients) for example in examples], axis=0)
    best = CUTS[scores >= scores.max() - 1e-9]
    return coefficients, float(best[np.argmin(np.abs(best - MAX_APART))])
