"""The fit of the consensus 'appearance' on cases whose answer is known."""

import dataclasses

import numpy as np

from benchmarks.quality import fit_appearance
from bitdiff_jax.posterior.appearance import Coefficients, probability
from bitdiff_jax.posterior.atoms import refine
from bitdiff_jax.posterior.merging import average_linkage
from bitdiff_jax.posterior.units import make_units
from tests.posterior.cases import noisy_maps

TRUE = Coefficients(0.5, 0.2, -0.6, 0.8, -0.3)


def case(seed, coefficients=TRUE):
    atoms = refine(noisy_maps(seed=seed))
    units = make_units(atoms)
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(len(units.areas), len(units.areas), 4))
    features += features.transpose(1, 0, 2)
    joined = probability(features, coefficients)
    truth = noisy_maps(num_samples=1, seed=seed)[0]
    return fit_appearance.Case(atoms, units, features, joined, [truth], 0.5)


def test_the_coefficients_that_made_the_targets_are_found():
    found = fit_appearance.fitted([case(seed) for seed in range(3)])
    np.testing.assert_allclose(found, TRUE, atol=0.05)


def test_each_cut_is_that_of_the_whole_linkage():
    one = case(4)
    rows = fit_appearance.by_cut(one, TRUE)
    units = dataclasses.replace(one.units, together=one.joined)
    regions = [average_linkage(units, float(cut)).max() + 1 for cut in fit_appearance._CUTS]
    assert rows[:, 1].tolist() == regions
    assert len(set(regions)) > 2


def test_the_report_names_what_goes_into_the_package(capsys):
    fit_appearance.report([case(seed) for seed in range(4)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("of all images: ") and len(lines[-1].split(", ")) == 5
    assert any(line.startswith("difference") for line in lines)
