"""Bounds and surprise of given maps, by a tiny random model and by one that knows the answer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.diffusion.bound import variational_bound
from bitdiff_jax.encoding.onehot import OneHotEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import Segmenter, surprise
from bitdiff_jax.inference.likelihood import CoarseBits
from bitdiff_jax.target import valid_mask
from tests.inference import tiny

TIMES = 2  # of most tests; one compiled program each


@pytest.fixture(scope="module")
def image():
    return tiny.image(40, 60)


@pytest.fixture(scope="module")
def label_map():
    """Nine blocks, one of which is ignored in a corner."""
    rows, columns = np.arange(40) * 3 // 40, np.arange(60) * 3 // 60
    labels = 3 * rows[:, None] + columns
    labels[30:, 50:] = -1
    return labels


def test_it_is_the_bound_of_what_the_palette_makes_of_the_map(segmenter, image, label_map):
    model, params = segmenter.model, tiny.random_params(segmenter.model)
    found = segmenter.log_prob(image, label_map, TIMES, seed=3, name="x")
    size = transforms.resized_shape(40, 60, tiny.SIZE)
    small = labelmaps.compact(labelmaps.resize_labels(label_map.astype(np.int32), size))[0]
    square = transforms.pad_to_square(small, tiny.SIZE, -1)[None]
    sizes = jnp.array([size])
    target = model.target(jnp.asarray(square), sizes)
    valid = valid_mask(sizes, (tiny.SIZE, tiny.SIZE))
    shown = transforms.pad_to_square(transforms.resize_image(image, size), tiny.SIZE)[None]
    cond = model.encode_image(params, jnp.asarray(shown), valid)
    key = jax.random.fold_in(jax.random.key(3), transforms.image_id("x"))
    want = variational_bound(
        lambda x_t, t, cond: model.apply(params, x_t, t, cond), target.x0, cond, key[None],
        schedule=model.schedule, prediction=model.prediction, num_times=TIMES, valid_mask=valid,
    )  # fmt: skip
    assert found.value == pytest.approx(-float(want.total[0]), rel=1e-4)
    assert found.standard_error == pytest.approx(float(want.standard_error[0]), rel=1e-3)
    assert found.bits.shape == size and found.value < 0
    assert found.num_filled == (small < 0).sum() > 0


def test_neither_ids_nor_the_way_of_naming_changes_it(segmenter, image, label_map):
    names = np.random.default_rng(0).permutation(10**6)[:9]
    renamed = np.where(label_map < 0, -7, names[label_map])
    one, two = (segmenter.log_prob(image, each, TIMES) for each in (label_map, renamed))
    assert one.value == two.value and one.num_filled == two.num_filled
    one, two = (segmenter.surprise(image, each, TIMES) for each in (label_map, renamed))
    assert one.score == two.score
    np.testing.assert_array_equal(one.map, two.map)
    assert [(int(names[each.id]), *each[1:]) for each in one.regions] == list(two.regions)


def test_what_is_ignored_has_no_surprise(segmenter, image, label_map):
    found = segmenter.surprise(image, label_map, TIMES)
    assert found.map.shape == (40, 60) and found.map.dtype == np.float32
    assert np.isnan(found.map[label_map < 0]).all()
    assert np.isfinite(found.map[label_map >= 0]).mean() > 0.95
    assert {each.id for each in found.regions} == set(range(9))
    areas = np.bincount(label_map[label_map >= 0])
    assert all(each.area == areas[each.id] for each in found.regions)
    scores = [each.score for each in found.regions]
    assert scores == sorted(scores, reverse=True)


def test_seed_and_name_decide_the_noise(segmenter, image, label_map):
    values = {
        segmenter.log_prob(image, label_map, TIMES, seed=seed, name=name).value
        for seed, name in ((0, "a"), (0, "a"), (1, "a"), (0, "b"))
    }
    assert len(values) == 3


def test_regions_beyond_the_codes_are_told(segmenter, image):
    many = np.arange(40 * 60).reshape(40, 60) // 4
    found = segmenter.log_prob(image, many, TIMES)
    assert found.num_filled > 0 and np.isfinite(found.value)


def test_a_model_that_cannot_is_refused(segmenter, image, label_map):
    model = dataclasses.replace(segmenter.model, encoding=OneHotEncoding(64))
    other = Segmenter(model, tiny.random_params(segmenter.model))
    with pytest.raises(InputError, match="OneHotEncoding has no bound"):
        other.log_prob(image, label_map)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label_map": np.zeros((4, 4), int)}, r"give integers of the image's shape, \(40, 60\)"),
        ({"label_map": np.zeros((40, 60))}, "label_map is float64"),
        ({"label_map": np.full((40, 60), -1)}, "all pixels are ignored"),
        ({"num_times": 1}, "num_times is 1; it must be at least 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_arguments_are_checked_at_the_door(segmenter, image, label_map, change, words):
    for method in (segmenter.log_prob, segmenter.surprise):
        with pytest.raises(InputError, match=words):
            method(image, **{"label_map": label_map, "num_times": TIMES, **change})


def test_parameters_that_are_not_finite_are_told(segmenter, image, label_map):
    params = jax.tree.map(lambda x: x * jnp.nan, tiny.random_params(segmenter.model))
    broken = Segmenter(segmenter.model, params)
    for method in (broken.log_prob, broken.surprise):
        with pytest.raises(InputError, match="parameters are not finite"):
            method(image, label_map, TIMES)


@dataclasses.dataclass(frozen=True)
class ReadsColours:
    """A network that reads each pixel's bits from four levels of its three colours, if any."""

    def init(self, key, x, time):
        return {"params": {"unused": jnp.zeros(())}}

    def apply(self, variables, x, time):
        colours = x[..., 6:]
        level = sum((colours > edge).astype(jnp.int32) for edge in (-1.1, 0.0, 1.2))
        bits = jnp.concatenate([level & 1, level >> 1], axis=-1) * 2.0 - 1
        return jnp.where((colours == 0).all(-1, keepdims=True), 0.0, 0.99 * bits)


def test_what_the_image_contradicts_is_surprising():
    model = dataclasses.replace(
        tiny.shared()[1].model, net=ReadsColours(), image_size=32, prediction="x"
    )
    knows = Segmenter(model, model.init(jax.random.key(0)))
    rows, columns = np.mgrid[:32, :32] // 8
    true = 4 * rows + columns
    codes = model.target(jnp.asarray(true, jnp.int32)[None], jnp.array([[32, 32]])).codes[0]
    levels = np.array([25, 90, 165, 230], np.uint8)
    parts = [(codes >> k & 1) + 2 * (codes >> (k + 3) & 1) for k in range(3)]
    image = levels[np.stack(parts, axis=-1)]
    moved = true.copy()
    moved[8:16, 8:24] = np.where(np.arange(16) < 4, 5, 6)  # of 5 and 6, the boundary
    right, wrong = (knows.surprise(image, each, 8) for each in (true, moved))
    assert right.score < 0.01 and wrong.score > right.score + 0.02
    assert all(each.score < 0 for each in right.regions)
    assert wrong.regions[0].id == 6 and wrong.regions[0].score > 0
    drawn = [knows.surprise(image, each, 8, num_samples=2) for each in (true, moved)]
    # It draws what it knows, so that the true map has nothing beyond its samples.
    for each, alone in zip(drawn[0].regions, right.regions, strict=True):
        assert each == (alone.id, alone.area, pytest.approx(alone.score, abs=1e-5))
    more = {each.id: each.score for each in drawn[1].regions}
    less = {each.id: each.score for each in wrong.regions}
    assert drawn[1].regions[0].id == 6 and more[6] > less[6] + 0.1 and more[5] > less[5] + 0.1
    assert more[10] == pytest.approx(less[10], abs=1e-5)
    value, other = (knows.log_prob(image, each, 8).value for each in (true, moved))
    assert value > other + 10  # 32 wrong pixels, of a bit at least


def test_the_expected_vi_of_a_map_from_itself_is_0_and_from_halves_a_bit():
    stripes = np.repeat(np.arange(4), 10)[None].repeat(30, axis=0)
    one, halves = np.zeros_like(stripes), (stripes > 1).astype(int)
    assert surprise.expected_vi(stripes, stripes[None]).max() == 0
    np.testing.assert_allclose(surprise.expected_vi(one, halves[None]), 1, rtol=1e-6)
    # Two samples are a bit apart, and so is the map from half of them: half a bit less than usual.
    both = np.stack([one, halves])
    np.testing.assert_allclose(surprise.beyond_samples(one, both), -0.5, rtol=1e-6)
    np.testing.assert_allclose(surprise.beyond_samples(stripes, both), 0.5, rtol=1e-6)


def test_half_of_what_is_beyond_samples_is_added():
    labels = np.repeat(np.arange(4), 16)[None].repeat(64, axis=0)
    labels[:, :8] = -1
    bits = CoarseBits(np.ones((64, 64), np.float32), np.full((64, 64), 4, np.float32))
    samples = np.stack([labels // 2, labels // 2])[:, ::2, ::2]
    samples[samples < 0] = 0
    found = surprise.of_bits(bits, labels, samples)
    without = {each.id: each.score for each in surprise.of_bits(bits, labels).regions}
    beyond = surprise.beyond_samples(labels[::2, ::2], samples)
    for each in found.regions:
        if each.id >= 0:
            added = np.nanmean(beyond[labels[::2, ::2] == each.id]) / 2
            assert each.score == pytest.approx(without[each.id] + added) and added > 0.2
    assert found.map[0, 60] == pytest.approx(-3 + beyond[0, 30] / 2)


def test_a_single_sample_is_refused(segmenter, image, label_map):
    with pytest.raises(InputError, match=r"num_samples is 1, .*give 0 or at least 2"):
        segmenter.surprise(image, label_map, TIMES, num_samples=1)


def test_a_region_is_scored_by_its_worst_tenth():
    labels = np.zeros((64, 64), int)
    labels[:, 32:] = 5
    labels[:8] = -1
    given = np.ones((64, 64), np.float32)
    alone = np.full((64, 64), 4, np.float32)
    given[40:64, 40:64] = 6  # a quarter of the right region is worse than without the image
    given[:8] = alone[:8] = np.nan
    found = surprise.of_bits(CoarseBits(given, alone), labels)
    assert [each.id for each in found.regions] == [5, 0]
    right, left = found.regions
    assert right.score == pytest.approx(2, abs=0.1) and left.score == pytest.approx(-3, abs=0.1)
    assert right.area == left.area == 56 * 32
    worse = 24 * 24
    assert found.score == pytest.approx((56 * 64 + 5 * worse) / (4 * 56 * 64))
    assert np.isnan(found.map[:8]).all() and np.isfinite(found.map[8:]).all()
    lines = repr(found).splitlines()
    assert lines[0].startswith("Surprise 0.45") and lines[2].split()[:2] == ["5", "1792"]
