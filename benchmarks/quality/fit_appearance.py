"""Fits the coefficients of the consensus 'appearance' to people's maps.

A model draws samples of each image; of pairs of pixels that are drawn at random the four numbers of
`posterior.appearance.pair_features` are the input of a logistic regression, and the share of the
people who join the two is its target. Scored, by the mean adjusted Rand index at `--size` pixels,
is each half of the images with what was fitted to the other half, so that no image has a part in
what it is scored with. Last come the coefficients that all images give, and their scores by where
the linkage is cut.

    python -m benchmarks.quality.fit_appearance --data bsds500:BSDS500,split=val \
        --checkpoint photos --num_samples 16 --temperature 1

The last line goes into `posterior/appearance.py`.
"""

import argparse
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.quality.consensus import scores, truths_of
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Segmentation, Segmenter
from bitdiff_jax.posterior import Posterior, appearance, likeness
from bitdiff_jax.posterior.appearance import Coefficients
from bitdiff_jax.posterior.atoms import Atoms
from bitdiff_jax.posterior.merging import average_linkage
from bitdiff_jax.posterior.units import Units, joined

_CUTS = np.arange(0.4, 0.801, 0.025)
_RIDGE = 1e-3


class Case(NamedTuple):
    """What is fitted and scored of one image."""

    atoms: Atoms
    units: Units
    features: np.ndarray  # float [u, u, 4]
    joined: np.ndarray  # float [u, u], the share of people who join two units
    truths: list[np.ndarray]  # at the size of the scores
    default: float  # adjusted Rand index of the consensus 'vi'


def case_of(result: Segmentation, truths: list[np.ndarray]) -> Case:
    """The case of an image.

    Args:
        result: the samples that were drawn of it, of a model with an encoder.
        truths: people's maps at the size of the scores, ids from 0, -1 = ignore.
    """
    posterior = Posterior.from_maps(result.maps, appearance=result.appearance)
    atoms = posterior.atoms
    units = appearance.units_of(atoms)
    assert posterior.appearance is not None, "the model has no encoder"
    unit = units.unit[atoms.index]
    by_people = np.zeros((len(units.areas),) * 2)
    for truth in truths:
        ids = labelmaps.renumber(labelmaps.at_centres(truth, unit.shape))[1]
        table = np.zeros((len(units.areas), int(ids.max()) + 1))
        np.add.at(table, (unit[ids >= 0], ids[ids >= 0]), 1)
        table /= np.maximum(table.sum(axis=1, keepdims=True), 1)
        by_people += table @ table.T / len(truths)
    features = appearance.pair_features(atoms, units, posterior.appearance)
    label_map = labelmaps.at_centres(posterior.consensus("vi"), truths[0].shape)
    default = scores(label_map, truths)[0]
    return Case(atoms, units, features.astype(np.float32), by_people, truths, default)


def fitted(cases: Iterable[Case]) -> Coefficients:
    """The logistic regression of what people join on the features, each image one vote."""
    examples = ((case.features, case.joined, case.units.areas) for case in cases)
    return likeness.fit(examples, _RIDGE, toward=Coefficients(0, 0, 0, 0, 0))


def by_cut(case: Case, coefficients: Coefficients) -> np.ndarray:
    """Adjusted Rand index and number of regions for each of the cuts, [cuts, 2]."""
    together = appearance.probability(case.features, coefficients)
    units = dataclasses.replace(case.units, together=together)
    label, rows = np.arange(len(together)), []
    for cut in _CUTS:
        cluster = average_linkage(units, float(cut))
        label, units = cluster[label], joined(units, cluster)
        label_map = case.atoms.label_map(label[case.units.unit])
        ari, _, regions = scores(labelmaps.at_centres(label_map, case.truths[0].shape), case.truths)
        rows.append((ari, regions))
    return np.array(rows)


def of_model(args: argparse.Namespace) -> Iterator[Case]:
    """Draws the samples of all images."""
    source = specs.open_source(args.data, image_size=args.size)
    segmenter = Segmenter.from_pretrained(args.checkpoint)
    for i in range(min(args.num_images, len(source))):
        result = segmenter(
            source[i]["image"],
            num_samples=args.num_samples,
            guidance_weight=args.guidance_weight,
            temperature=args.temperature,
        )
        yield case_of(result, truths_of(source, i, args.size))


def report(cases: Sequence[Case]) -> None:
    """Prints the scores of the halves, and what is fitted to all."""
    half = np.arange(len(cases)) % 2
    cut = int(np.argmin(np.abs(_CUTS - appearance.MAX_APART)))
    found = np.zeros((len(cases), 2))
    for k in (0, 1):
        coefficients = fitted(case for case, h in zip(cases, half, strict=True) if h != k)
        print(f"half {k}, fitted to the other: {_text(coefficients)}")
        for i in np.flatnonzero(half == k):
            found[i] = by_cut(cases[i], coefficients)[cut]
    default = np.array([case.default for case in cases])
    for name, values in (
        ("vi", default), ("appearance", found[:, 0]), ("difference", found[:, 0] - default),
    ):  # fmt: skip
        e = estimates.bootstrap(values)
        print(f"{name:12}{e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]")
    print(f"regions {found[:, 1].mean():.1f}")
    coefficients = fitted(cases)
    tables = np.array([by_cut(case, coefficients)[:, 0] for case in cases])
    for max_apart, ari in zip(_CUTS, tables.mean(axis=0), strict=True):
        print(f"cut {max_apart:.3f}: ARI {ari:.4f}")
    print(f"best cut of each image: ARI {tables.max(axis=1).mean():.3f}")
    print(f"of all images: {_text(coefficients)}")


def _text(coefficients: Coefficients) -> str:
    return ", ".join(f"{value:.3f}" for value in coefficients)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, draws, fits and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="images with the maps of people, as of `bitdiff evaluate`")
    add("--checkpoint", default="photos", help="weights by name, or the --workdir of a training")
    add("--num_samples", type=int, default=16, help="samples of each image (16)")
    add("--guidance_weight", type=float, help="guidance of the samples (the model's own)")
    add("--temperature", type=float, help="factor of their noise (the model's own)")
    add("--size", type=int, default=128, help="longest side of what is scored, in pixels (128)")
    add("--num_images", type=int, default=100, help="images, at most (100)")
    report(list(of_model(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
