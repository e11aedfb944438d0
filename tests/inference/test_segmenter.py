import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import model_config
from bitdiff_jax.data import transforms
from bitdiff_jax.diffusion import presets
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import draw_source
from bitdiff_jax.inference import Segmenter, programs, region_table
from bitdiff_jax.inference.request import Request
from tests.inference import tiny

# One compiled program serves most of this file: 4 rows, 2 steps, guidance.
DRAW = {"num_samples": 4, "num_steps": 2}
SHAPES = [(40, 60), (17, 9), (32, 32), (1, 3000), (1, 1), (3000, 1)]


@pytest.fixture(scope="module")
def images():
    return [tiny.image(*shape, seed=i) for i, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module")
def batch(segmenter, images):
    return segmenter.segment_batch(images, batch_size=4, **DRAW)


@pytest.mark.slow
def test_maps_are_those_of_the_model(segmenter, images, batch):
    model, params = segmenter.model, tiny.random_params(segmenter.model)
    size = transforms.resized_shape(40, 60, tiny.SIZE)
    square = transforms.pad_to_square(transforms.resize_image(images[0], size), tiny.SIZE)
    key = jax.random.fold_in(jax.random.key(0), transforms.image_id(""))
    want = model.sample(
        params,
        jnp.stack([square] * 4),
        jnp.array([size] * 4, jnp.int32),
        jax.vmap(lambda sample: jax.random.fold_in(key, sample))(jnp.arange(4)),
        Sampler(2, 1.0),
    )
    np.testing.assert_array_equal(batch[0].codes, want.codes[:, : size[0], : size[1]])
    np.testing.assert_allclose(
        batch[0].certainty, want.certainty[:, : size[0], : size[1]], atol=1e-6
    )


@pytest.mark.parametrize("index", range(len(SHAPES)))
def test_results_have_the_images_own_size(images, batch, index):
    result, shape = batch[index], SHAPES[index]
    np.testing.assert_array_equal(result.image, images[index])
    assert result.shape == shape and result.num_samples == 4 and result.seed == 0
    assert result.resolution == transforms.resized_shape(*shape, tiny.SIZE)
    assert result.codes.shape == result.certainty.shape == (4, *result.resolution)
    assert result.codes.min() >= 0
    assert (result.certainty > 0).all() and (result.certainty <= 1).all()
    assert result.label_maps.shape == (4, *shape) and result.label_maps.min() == 1
    assert sum(region.area for region in result.regions()) == np.prod(shape)


def test_samples_differ(batch):
    assert len({codes.tobytes() for codes in batch[0].codes}) == 4
    assert batch[0].agreement.mean() < 1


def test_alone_is_as_among_others(segmenter, images, batch):
    for index in (0, 1, 4):
        alone = segmenter(images[index], **DRAW)
        np.testing.assert_array_equal(alone.codes, batch[index].codes)
        np.testing.assert_array_equal(alone.certainty, batch[index].certainty)


def test_other_batches_draw_the_same(segmenter, images, batch):
    # 3 samples in batches of 4: pictures fall across batches and the last one is filled up.
    for index, result in enumerate(
        segmenter.segment_batch(images[:3], num_samples=3, num_steps=2, batch_size=4)
    ):
        np.testing.assert_array_equal(result.codes, batch[index].codes[:3])
    reversed_ = segmenter.segment_batch(images[2::-1], batch_size=4, **DRAW)
    np.testing.assert_array_equal(reversed_[2].codes, batch[0].codes)


def test_seed_and_name_decide_the_draw(segmenter, images, batch):
    again = segmenter(images[0], **DRAW)
    np.testing.assert_array_equal(again.codes, batch[0].codes)
    for other in ({"seed": 1}, {"seed": 2**32 - 1}, {"name": "cat"}):
        result = segmenter(images[0], **DRAW, **other)
        assert (result.codes != batch[0].codes).mean() > 0.1
    assert segmenter(images[0], **DRAW, seed=5).seed == 5


def test_a_path_is_named_after_its_file(segmenter, images, tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(images[1]).save(path)
    result = segmenter(path, **DRAW)
    assert result.name == "cat"
    named = segmenter(images[1], **DRAW, name="cat")
    np.testing.assert_array_equal(result.codes, named.codes)
    listed = segmenter.segment_batch([images[1], str(path)], batch_size=4, **DRAW)
    np.testing.assert_array_equal(listed[1].codes, named.codes)
    assert (listed[0].codes != named.codes).any()


def test_grey_and_opaque_alpha_are_as_rgb(segmenter, images):
    grey = images[1][..., 0]
    want = segmenter(np.stack([grey] * 3, axis=-1), **DRAW)
    np.testing.assert_array_equal(segmenter(grey, **DRAW).codes, want.codes)
    alpha = np.concatenate([want.image, np.full((*grey.shape, 1), 255, np.uint8)], axis=-1)
    np.testing.assert_array_equal(segmenter(alpha, **DRAW).codes, want.codes)


@pytest.mark.slow
def test_guidance_weights_share_a_program_and_0_needs_none(segmenter, images, batch):
    before = programs.num_compiled()
    strong = segmenter(images[0], **DRAW, guidance_weight=3.0)
    assert programs.num_compiled() == before
    assert (strong.codes != batch[0].codes).any()
    plain = segmenter(images[0], **DRAW, guidance_weight=0.0)
    weak = segmenter(images[0], **DRAW, guidance_weight=1e-9)
    assert (plain.codes == weak.codes).mean() > 0.999


def test_temperature_0_draws_one_map_whatever_the_seed(segmenter, images, batch):
    before = programs.num_compiled()
    still = segmenter(images[0], **DRAW, temperature=0)
    assert programs.num_compiled() == before + 1  # another program than that of temperature 1
    assert (still.codes == still.codes[0]).all()
    for result in (
        segmenter.segment_batch(images[:1], **DRAW, seed=7, temperature=0.0, batch_size=4)[0],
        next(segmenter.stream([("cat", images[0])], **DRAW, temperature=0.0, batch_size=4)),
        segmenter(images[0], num_samples=4, sampler=Sampler(2, temperature=0)),
    ):
        np.testing.assert_array_equal(result.codes, still.codes)
    assert programs.num_compiled() == before + 1
    np.testing.assert_array_equal(segmenter(images[0], **DRAW).codes, batch[0].codes)


def test_images_of_all_sizes_share_a_program(segmenter, images, batch):
    before = programs.num_compiled()
    results = segmenter.stream(
        ((str(i), image) for i, image in enumerate(images)), 4, 2, batch_size=4
    )
    assert [result.shape for result in results] == SHAPES
    assert programs.num_compiled() == before


def test_a_checkpoint_says_where_it_comes_from(segmenter):
    assert (segmenter.trained_on, segmenter.step) == (tiny.TRAINED_ON, tiny.STEP)


def test_a_stream_reads_no_further_than_it_must(segmenter, images):
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield str(i), images[1]

    results = segmenter.stream(items(), **DRAW, batch_size=4)
    assert not taken
    assert next(results).name == "0" and taken == [0]
    assert next(results).name == "1" and taken == [0, 1]


def test_batches_are_told_of_before_they_are_drawn(segmenter, images):
    told = []
    result = segmenter(images[0], 5, batch_size=2, on_batch=told.append)
    assert told == [0, 2, 4]
    np.testing.assert_array_equal(result.codes, segmenter(images[0], 5, batch_size=2).codes)


def test_nothing_in_nothing_out(segmenter):
    assert segmenter.segment_batch([]) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_samples": 0}, "num_samples is 0"),
        ({"num_samples": 1.5}, "num_samples is 1.5"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "8"}, "batch_size is '8'"),
        ({"seed": -1}, "seed is -1"),
        ({"min_area": "3px"}, "min_area is 3px"),
        ({"edges": "sharp"}, "edges is 'sharp'"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"guidance_weight": float("nan")}, "guidance_weight is nan"),
        ({"guidance_weight": float("inf")}, "guidance_weight is inf"),
        ({"guidance_weight": "1"}, "guidance_weight is '1'"),
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature is nan"),
    ],
)
def test_arguments_are_checked_at_the_door(segmenter, images, arguments, words):
    for call in (
        lambda: segmenter(images[0], **arguments),
        lambda: segmenter.segment_batch(images, **arguments),
        lambda: segmenter.stream(iter([]), **arguments),
    ):
        with pytest.raises(InputError, match=words) as error:
            call()
        assert "\n" not in str(error.value)


def test_wrong_images_and_names_are_refused(segmenter, images, tmp_path):
    with pytest.raises(InputError, match="float32"):
        segmenter(images[0].astype(np.float32))
    with pytest.raises(InputError, match=r"none\.png"):
        segmenter(tmp_path / "none.png")
    with pytest.raises(InputError, match="1 names for 2 images"):
        segmenter.segment_batch(images[:2], names=["a"])


def test_parameters_that_are_not_finite_are_told(segmenter, images):
    params = jax.tree.map(lambda leaf: leaf * np.nan, tiny.random_params(segmenter.model))
    broken = Segmenter(segmenter.model, params)
    with pytest.raises(InputError, match="not finite"):
        broken(images[0], **DRAW)


def test_too_little_memory_is_told(segmenter, images, monkeypatch):
    def exhausted(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 9 bytes")

    # While it is compiled, and while it runs.
    for compiled in (exhausted, lambda *_, **__: exhausted):
        monkeypatch.setattr(programs, "compiled", compiled)
        with pytest.raises(InputError, match=r"batch_size=4.*lower it") as error:
            segmenter(images[0], **DRAW)
        assert "\n" not in str(error.value)


def test_sampler_settings_come_from_the_config(tmp_path):
    config = tiny.tiny_config()
    config.sampling.method = "best"
    tiny.save_checkpoint(tmp_path, config)
    with pytest.raises(InputError, match=r"config.sampling.method is 'best'"):
        Segmenter.from_checkpoint(tmp_path)


@pytest.mark.slow
def test_a_checkpoint_draws_as_its_config_says_unless_told_otherwise(tmp_path, images):
    config = tiny.tiny_config()
    config.sampling.update(num_steps=3, guidance_weight=0.5, method="ddim", eta=0.25)
    segmenter = Segmenter.from_checkpoint(tiny.save_checkpoint(tmp_path, config))
    assert segmenter.sampler == Sampler(3, 0.5, Ddim(0.25))
    own = segmenter(images[1], num_samples=2)
    said = segmenter(images[1], num_samples=2, sampler=Sampler(3, 0.5, Ddim(0.25)))
    np.testing.assert_array_equal(own.codes, said.codes)
    for changed, sampler in (
        ({"num_steps": 2}, Sampler(2, 0.5, Ddim(0.25))),
        ({"guidance_weight": 0.0}, Sampler(3, 0.0, Ddim(0.25))),
    ):
        other = segmenter(images[1], num_samples=2, **changed)
        want = segmenter(images[1], num_samples=2, sampler=sampler)
        np.testing.assert_array_equal(other.codes, want.codes)
        assert (other.codes != own.codes).any()


def test_a_preset_is_taken_instead_of_a_sampler_and_arguments_win(segmenter, images):
    options = {"num_samples": 2, "num_steps": 2, "batch_size": 2}
    got = segmenter(images[0], preset="faithful", **options)
    want = segmenter(images[0], sampler=presets.FAITHFUL, **options)
    np.testing.assert_array_equal(got.codes, want.codes)
    (batched,) = segmenter.segment_batch(images[:1], preset="faithful", names=[""], **options)
    np.testing.assert_array_equal(batched.codes, want.codes)
    assert (segmenter(images[0], preset="accurate", **options).codes != want.codes).any()
    for wrong, words in (
        ({"preset": "best"}, "preset is 'best'; use 'accurate' or 'faithful'"),
        ({"preset": "faithful", "sampler": Sampler()}, "preset='faithful' and a sampler are given"),
    ):
        with pytest.raises(InputError, match=words):
            segmenter(images[0], **wrong)


def test_an_equal_model_finds_its_programs_compiled(segmenter, images, batch):
    before = programs.num_compiled()
    params = tiny.random_params(segmenter.model)
    again = Segmenter(model_config.from_config(tiny.tiny_config()), params, sampler=Sampler(2))
    np.testing.assert_array_equal(again(images[0], num_samples=4).codes, batch[0].codes)
    assert programs.num_compiled() == before


def test_the_evaluation_draws_the_same_maps(segmenter, images):
    labels = np.zeros(SHAPES[1], np.int32)
    source = [{"name": "cat", "image": images[1], "labels": (labels,)}]
    params = tiny.random_params(segmenter.model)
    want = segmenter(images[1], **DRAW, name="cat", seed=3)
    request = Request(4, 3, batch_size=4, edges="nearest")
    (drawn,) = draw_source(segmenter.model, params, source, Sampler(2), request)
    np.testing.assert_array_equal(drawn.codes, want.maps)
    request = Request(4, 3, batch_size=4)
    (drawn,) = draw_source(segmenter.model, params, source, Sampler(2), request)
    for codes, label_map in zip(drawn.codes, want.label_maps, strict=True):
        np.testing.assert_array_equal(region_table.number(codes, False), label_map)
