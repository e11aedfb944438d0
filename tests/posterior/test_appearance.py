"""The consensus by the looks of an image, against its definition pixel by pixel."""

import dataclasses

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import Appearance, Posterior
from bitdiff_jax.posterior import appearance as lib
from bitdiff_jax.posterior.atoms import refine
from tests.posterior.cases import noisy_maps, renamed, same_partition


def looks(shape, seed=0, channels=4):
    rng = np.random.default_rng(seed)
    colours = rng.uniform(-40, 60, (*shape, 3))
    return Appearance(colours, rng.normal(size=(*shape, channels)).astype(np.float32))


def by_definition(maps, image, p, q):
    """The features of a pair of pixels, each as one of the atom that holds it."""
    maps = np.asarray(maps)
    known = (maps >= 0).all(axis=0)
    pixels = np.argwhere(known)
    same = {
        one: np.array([np.mean(maps[:, a, b] == maps[:, one[0], one[1]]) for a, b in pixels])
        for one in (p, q)
    }
    atoms = {one: np.isclose(same[one], 1) for one in (p, q)}
    company = same[p] @ same[q] / np.linalg.norm(same[p]) / np.linalg.norm(same[q])
    company = np.clip(company, 0.02, 0.98)

    def mean(values, one):
        return values[tuple(pixels[atoms[one]].T)].mean(axis=0)

    distance = np.linalg.norm(mean(image.colours, p) - mean(image.colours, q))
    centred = image.features - image.features[known].mean(axis=0)
    a, b = mean(centred, p), mean(centred, q)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    area = min(same[p].mean(), same[q].mean())
    return [np.log(company / (1 - company)), cosine, np.log(1 + distance / 5), area]


def test_the_features_of_pairs_are_their_definition():
    maps = noisy_maps(num_samples=5, size=9, regions=4, seed=1)
    maps[0, :2, :3] = -1
    image = looks((9, 9))
    atoms = refine(maps)
    units = lib.units_of(atoms)
    found = lib.pair_features(atoms, units, image)
    for p, q in [((4, 4), (8, 8)), ((3, 0), (0, 8)), ((5, 5), (2, 7))]:
        i, j = (units.unit[atoms.index[one]] for one in (p, q))
        np.testing.assert_allclose(found[i, j], by_definition(maps, image, p, q), atol=1e-6)
    np.testing.assert_allclose(found, found.transpose(1, 0, 2), atol=1e-9)


def test_the_affinity_is_the_logistic_function_of_them():
    atoms = refine(noisy_maps(seed=2))
    units, image = lib.units_of(atoms), looks((24, 24))
    slopes = np.array(lib.COEFFICIENTS[:-1])
    odds = np.exp(lib.pair_features(atoms, units, image) @ slopes + lib.COEFFICIENTS.constant)
    joined = lib.affinity(atoms, units, image)
    off = ~np.eye(len(joined), dtype=bool)
    np.testing.assert_allclose(joined[off], (odds / (1 + odds))[off])
    assert (joined.diagonal() == 1).all()


def test_more_company_and_likeness_make_one_region_more_probable():
    c = lib.COEFFICIENTS
    assert c.company > 0 and c.features > 0 and c.colours < 0


def test_looks_decide_where_half_of_the_samples_join():
    apart = np.repeat([[0, 0, 0, 1, 1, 1, 2, 2, 2]], 6, axis=0)
    joined = np.where(apart == 1, 0, apart), np.where(apart == 1, 2, apart)
    colours = np.zeros((6, 9, 3))
    features = np.zeros((6, 9, 2))
    features[..., 0] = 1
    features[:, 6:] = [0, 1]
    colours[:, 6:] = 60
    for like, want in ((0, joined[0]), (2, joined[1])):
        # The middle looks like the left side, or like the right one.
        seen = [
            np.where((apart == 1)[..., None], each[:, [like * 3]], each)
            for each in (colours, features)
        ]
        posterior = Posterior.from_maps(joined, appearance=Appearance(*seen))
        assert same_partition(posterior.consensus("appearance"), want)


def test_neither_names_nor_scale_nor_resolution_change_it():
    maps, image = noisy_maps(seed=3), looks((24, 24), seed=3)
    want = Posterior.from_maps(maps, appearance=image).consensus("appearance")
    assert 1 < len(np.unique(want)) < len(refine(maps).areas)
    other = Appearance(image.colours, 3 * image.features + 5)
    for given, seen in ((renamed(maps, 0), image), (maps, other)):
        found = Posterior.from_maps(given, appearance=seen).consensus("appearance")
        np.testing.assert_array_equal(found, want)
    large = maps.repeat(3, axis=1).repeat(2, axis=2)
    found = Posterior.from_maps(large, appearance=image).consensus("appearance")
    np.testing.assert_array_equal(found, want.repeat(3, axis=0).repeat(2, axis=1))


def test_what_any_map_ignores_is_ignored():
    maps = noisy_maps(seed=4)
    maps[2, 5:9, 5:9] = -1
    found = Posterior.from_maps(maps, appearance=looks((12, 12))).consensus("appearance")
    np.testing.assert_array_equal(found < 0, maps[2] < 0)


def test_an_image_of_one_colour_without_features_is_no_error():
    image = Appearance(np.zeros((24, 24, 3)), np.zeros((24, 24, 1)))
    posterior = Posterior.from_maps(noisy_maps(seed=5), appearance=image)
    assert (posterior.consensus("appearance") >= 0).all()
    assert posterior.given(same=[((0, 0), (0, 0))]).appearance is image


def test_an_appearance_that_is_missing_or_of_another_shape_is_refused():
    posterior = Posterior.from_maps(noisy_maps())
    with pytest.raises(InputError, match=r"criterion is 'appearance'.*give `appearance`"):
        posterior.consensus("appearance")
    image = looks((6, 5))
    for changes, words in (
        ({"colours": image.colours[..., 0]}, r"colours must be CIE Lab.*\(6, 5\)"),
        ({"features": image.features[:3]}, r"features must be \[6, 5, C\].*\(3, 5, 4\)"),
        ({"colours": image.colours * np.nan}, "colours must be finite numbers"),
        ({"features": np.where(image.features > 0, np.inf, 0)}, "features must be finite numbers"),
    ):
        with pytest.raises(InputError, match=words):
            dataclasses.replace(image, **changes)
    with pytest.raises(InputError, match=r"appearance is a tuple; give posterior.Appearance"):
        Posterior.from_maps(noisy_maps(), appearance=(image.colours, image.features))
    listed = Appearance(image.colours.tolist(), image.features.tolist())
    np.testing.assert_array_equal(listed.colours, image.colours)
