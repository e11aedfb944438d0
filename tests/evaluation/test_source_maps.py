import dataclasses
import functools

import jax
import numpy as np
import pytest

from bitdiff_jax.data import transforms
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import draw_source
from bitdiff_jax.inference import programs, specks, upsampling
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel.mesh import make_mesh
from tests.evaluation.stubs import SHAPES, SIZE, ListSource, StubModel, make_source, tiny_model

# Kernels for another batch size may round otherwise, and a bit near 0 then flips.
_ALIKE = 0.999


def draw(model, params, source, num_samples=1, seed=0, batch_size=16, min_area=0, **options):
    sampler = Sampler(2, options.pop("guidance_weight", 1.0))
    request = Request(num_samples, seed, batch_size, min_area)
    return draw_source(model, params, source, sampler, request, **options)


@pytest.fixture(scope="module")
def tiny():
    model, params = tiny_model()
    return functools.partial(draw, model, params), model, params


@pytest.fixture(scope="module")
def thirteen(tiny):
    return list(tiny[0](make_source(13), batch_size=4))


def _agreement(a, b):
    return np.mean([np.mean(x.codes == y.codes) for x, y in zip(a, b, strict=True)])


@pytest.mark.slow
def test_every_image_comes_once_in_order_with_its_valid_rectangle(thirteen):
    source = make_source(13)
    assert [d.name for d in thirteen] == [item["name"] for item in source]
    for i, d in enumerate(thirteen):
        height, width = SHAPES[i % len(SHAPES)]
        assert d.codes.shape == (1, height, width)
        assert d.codes.dtype == np.int32
        assert d.codes.min() >= 0
        assert d.codes.max() < 64
        np.testing.assert_array_equal(d.image, source[i]["image"])
        np.testing.assert_array_equal(d.labels[1], source[i]["labels"][1])
    assert len(np.unique(thirteen[0].codes)) > 1


@pytest.mark.slow
def test_uneven_last_batch_draws_what_batches_of_one_draw(tiny, thirteen):
    mesh = make_mesh(devices=jax.devices()[:1])
    single = list(tiny[0](make_source(13), batch_size=1, mesh=mesh))
    assert _agreement(single, thirteen) > _ALIKE


def test_equals_the_model_called_by_hand(tiny, thirteen):
    _, model, params = tiny
    item = make_source(13)[1]
    height, width = item["image"].shape[:2]
    image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    image[0, :height, :width] = item["image"]
    key = jax.random.fold_in(jax.random.key(0), transforms.image_id(item["name"]))
    keys = jax.random.fold_in(key, 0)[None]
    size = np.asarray([[height, width]], np.int32)
    sample = model.sample(params, image, size, keys, Sampler(2))
    by_hand = np.asarray(sample.codes)[0, :height, :width]
    assert np.mean(by_hand == thirteen[1].codes[0]) > _ALIKE


@pytest.mark.slow
def test_order_of_images_and_number_of_samples_change_no_map(tiny, thirteen):
    backwards = list(tiny[0](ListSource(make_source(13).items[::-1]), batch_size=4, num_samples=3))
    assert backwards[0].codes.shape[0] == 3
    first = [d._replace(codes=d.codes[:1]) for d in backwards[::-1]]
    assert [d.name for d in first] == [d.name for d in thirteen]
    assert _agreement(first, thirteen) > _ALIKE
    others = [d._replace(codes=d.codes[1:2]) for d in backwards[::-1]]
    assert _agreement(others, thirteen) < 0.9


def test_seed_and_parameters_are_arguments_of_one_program(tiny, thirteen):
    run, model, params = tiny
    compiled = programs.num_compiled()
    source = ListSource(make_source(13).items[:4])
    other_seed = list(run(source, batch_size=4, seed=1))
    changed = jax.tree.map(lambda x: -x, params)
    other_params = list(draw(model, changed, source, batch_size=4))
    other_weight = list(run(source, batch_size=4, guidance_weight=-0.5))
    assert _agreement(other_seed, thirteen[:4]) < 0.9
    assert _agreement(other_params, thirteen[:4]) < 0.9
    assert _agreement(other_weight, thirteen[:4]) < 1
    assert programs.num_compiled() == compiled


@pytest.mark.slow
def test_samples_are_independent_draws_of_the_rows_own_key():
    drawn = list(draw(StubModel("noise"), {}, make_source(3), num_samples=4, batch_size=5))
    maps = [codes[:20, :20].tobytes() for d in drawn for codes in d.codes]
    assert len(set(maps)) == 12
    again = list(draw(StubModel("noise"), {}, make_source(3), num_samples=4, batch_size=2))
    assert all((a.codes == b.codes).all() for a, b in zip(drawn, again, strict=True))


def test_the_first_images_only():
    names = [d.name for d in draw(StubModel(), {}, make_source(5), num_images=2)]
    assert names == ["picture000", "picture001"]
    assert len(list(draw(StubModel(), {}, make_source(2), num_images=9))) == 2


def test_some_places_only_are_drawn_as_among_all(thirteen, tiny):
    some = list(tiny[0](make_source(13), batch_size=4, only=[11, 2, 5]))
    assert [d.name for d in some] == ["picture011", "picture002", "picture005"]
    assert _agreement(some, [thirteen[i] for i in (11, 2, 5)]) > _ALIKE
    assert list(draw(StubModel(), {}, make_source(3), only=[])) == []
    source = make_source(10)
    whole = list(draw(StubModel("image"), {}, source, shuffle_images=True))
    (one,) = draw(StubModel("image"), {}, source, shuffle_images=True, only=[7])
    np.testing.assert_array_equal(one.codes, whole[7].codes)


def test_another_size():
    model = dataclasses.replace(StubModel(), image_size=64)
    drawn = list(draw(model, {}, make_source(2)))
    assert [d.codes.shape[1:] for d in drawn] == [(64, 64), (40, 64)]


def test_edges_follow_an_image_that_is_larger_than_its_map():
    model, source = StubModel("image"), make_source(2)
    larger = ListSource(
        [
            {
                **item,
                "image": transforms.resize_image(item["image"], (120, 160)),
                "labels": tuple(
                    transforms.resize_labels(each, (120, 160)) for each in item["labels"]
                ),
            }
            for item in source.items
        ]
    )
    request = Request(edges="nearest", min_area=0)
    as_drawn = next(iter(draw_source(model, {}, larger, Sampler(2), request)))
    assert as_drawn.codes.shape == (1, 24, 32)
    request = Request(min_area=0)
    refined = next(iter(draw_source(model, {}, larger, Sampler(2), request)))
    wanted = upsampling.at_image_size(
        as_drawn.codes[0], as_drawn.certainty[0], larger[0]["image"], 0
    )
    np.testing.assert_array_equal(refined.codes[0], wanted)
    shuffled = draw_source(model, {}, larger, Sampler(2), request, shuffle_images=True)
    assert next(iter(shuffled)).codes.shape == (1, 24, 32)  # those edges are another image's


def test_shuffled_images_are_another_images_in_this_ones_rectangle():
    source = make_source(10)
    shown = list(draw(StubModel("image"), {}, source, shuffle_images=True))
    originals = [item["image"] for item in source]
    for i, d in enumerate(shown):
        shape = SHAPES[i % len(SHAPES)]
        assert d.name == source[i]["name"]
        assert d.image.shape[:2] == d.codes.shape[1:] == shape
        np.testing.assert_array_equal(d.codes[0], d.image[..., 1])
        assert not np.array_equal(d.image, originals[i])
    # Of four pictures of 20 x 32 at least three get one of exactly that shape.
    wide = [d.image for d in shown if d.image.shape[:2] == (20, 32)]
    assert sum(any(np.array_equal(w, image) for image in originals) for w in wide) >= 3


def test_without_guidance_there_is_no_second_half():
    seen = []

    class Recorder(StubModel):
        def sample(self, params, image, size, keys, sampler, features=None):
            seen.append(sampler.guidance_weight)
            return super().sample(params, image, size, keys, sampler)

    for weight in (0.0, None, 2.0):
        list(draw(Recorder(), {}, make_source(1), guidance_weight=weight))
    # 0 and None are one program.
    assert len(seen) == 2 and seen[0] is None and seen[1] is not None


@pytest.mark.parametrize("name", ["batch_size", "num_samples", "num_images"])
def test_numbers_out_of_range_are_refused_at_the_call(name):
    with pytest.raises(InputError, match=f"{name} is 0"):
        draw(StubModel(), {}, make_source(1), **{name: 0})


def test_what_cannot_be_drawn_is_refused_at_the_call():
    with pytest.raises(InputError, match="empty"):
        draw(StubModel(), {}, ListSource([]))
    with pytest.raises(InputError, match="seed is -1"):
        draw(StubModel(), {}, make_source(1), seed=-1)
    with pytest.raises(InputError, match="at least 2 pictures"):
        draw(StubModel(), {}, make_source(1), shuffle_images=True)


def test_specks_of_drawn_maps_are_given_to_what_surrounds_them(tiny, thirteen):
    source = make_source(3)
    cleaned = list(tiny[0](source, batch_size=4, min_area="8 drawn"))
    changed = 0
    for raw, each in zip(thirteen, cleaned, strict=False):
        want = specks.clean(raw.codes, "8 drawn", raw.labels[0].shape)
        changed += int((want != raw.codes).sum())
        assert np.mean(each.codes == want) > 0.9  # as `_ALIKE`, and what a flipped bit joins
    assert changed
    _, model, params = tiny
    unasked = list(draw_source(model, params, source, Sampler(2, 1.0), Request(batch_size=4)))
    assert _agreement(unasked, cleaned) == 1
