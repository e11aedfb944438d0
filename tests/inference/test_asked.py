"""What is asked of a model with prompts, and of one without."""

import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import Segmenter, asked
from bitdiff_jax.inference.imposed import Constraints
from bitdiff_jax.training import initial_weights
from tests.inference import tiny

SHAPE = (40, 60)


@pytest.fixture(scope="module")
def image():
    return tiny.image(*SHAPE)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory):
    config = tiny.tiny_config()
    config.model.prompts.update({"granularity": 0.5, "region": 0.5, "codes": 0.5})
    return Segmenter.from_checkpoint(
        tiny.save_checkpoint(tmp_path_factory.mktemp("prompted"), config)
    )


def test_the_raster_of_what_is_asked(prompted):
    told = Constraints(
        granularity=16, inside=[(0, 0), (39, 59)], outside=[(20, 30)], box=(0, 0, 20, 60)
    )
    imposed, prompt = asked.for_model(told, prompted.model, SHAPE)
    assert not imposed
    assert prompt.shape == (11, 16, 10) and prompt.dtype == np.float16
    assert (prompt[..., 0] == 1).all() and (prompt[..., 1] == 0.5).all()
    points = prompt[..., 2]
    assert points[0, 0] == points[-1, -1] == 1 and points[5, 8] == -1 and (points != 0).sum() == 3
    assert (prompt[:6, :, 3] == 1).all() and not prompt[6:, :, 3].any()
    assert not prompt[..., 4:].any()


def test_maps_follow_what_is_asked(prompted, image):
    draw = {"num_steps": 2, "seed": 1, "edges": "nearest", "min_area": 0}
    free = prompted(image, **draw)
    for told in ({"granularity": 40}, {"inside": [(5, 5)]}, {"box": (0, 0, 20, 20)}):
        result = prompted(image, **draw, **told)
        assert np.abs(result.certainty - free.certainty).max() > 1e-4, told
        again = prompted(image, **draw, **told)
        np.testing.assert_array_equal(result.codes, again.codes)
        weighted = prompted(image, **draw, **told, prompt_weight=3.0)
        assert np.abs(weighted.certainty - result.certainty).max() > 1e-4
    nothing = prompted(image, **draw, granularity=40, prompt_weight=0)
    np.testing.assert_allclose(nothing.certainty, free.certainty, atol=1e-5)


def test_what_is_imposed_holds_beside_what_is_asked(prompted, image):
    keep = np.full(SHAPE, -1)
    keep[:10, :20] = 7
    for weight in (1.0, 2.0, 0.0):
        result = prompted(
            image, num_samples=2, num_steps=2, keep=keep, granularity=5, prompt_weight=weight
        )
        for label_map in result.label_maps:
            assert len(np.unique(label_map[keep == 7])) == 1


def test_points_of_a_model_without_prompts_are_read_off_its_samples(segmenter, image):
    draw = {"num_samples": 5, "num_steps": 2, "seed": 1}
    told = {"inside": [(5, 5), (35, 10)], "outside": [(5, 50)]}
    free, got = segmenter(image, **draw), segmenter(image, **draw, **told)
    np.testing.assert_array_equal(got.codes, free.codes)
    np.testing.assert_array_equal(got.label_maps, free.label_maps)
    region = got.clicked_region
    assert region.dtype == bool and region.shape == SHAPE
    assert region[5, 5] and region[35, 10] and not region[5, 50]
    np.testing.assert_array_equal(region, free.region(**told))
    labels = got.label_map()
    np.testing.assert_array_equal(labels == labels[5, 5], region)
    # Elsewhere regions are those of the consensus without points.
    pairs = np.unique(np.stack([labels, free.label_map()])[:, ~region], axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1]
    assert labels.max() == len(np.unique(labels)) and free.clicked_region is None


def test_points_and_what_is_kept_go_together(segmenter, image):
    keep = np.full(SHAPE, -1)
    keep[:10, :20] = 7
    result = segmenter(image, num_samples=3, num_steps=2, keep=keep, inside=[(35, 50)])
    labels = result.label_map()
    assert len(np.unique(labels[keep == 7])) == 1 and result.clicked_region[35, 50]


def test_points_that_the_drawn_map_cannot_tell_apart_are_refused(segmenter):
    result = segmenter(tiny.image(400, 600), num_samples=2, num_steps=1)
    assert result.region((100, 100), (200, 300)).shape == (400, 600)
    with pytest.raises(InputError, match=r"outside: point \(100, 101\) is nearer to one inside"):
        result.region((100, 100), (100, 101))
    with pytest.raises(InputError, match=r"outside: point .* is inside as well"):
        result.region((100, 100), (100, 100))
    with pytest.raises(InputError, match="inside: there is no point"):
        result.region(())
    with pytest.raises(InputError, match=r"inside: point \(400, 0\) lies outside of 400 x 600"):
        result.region((400, 0))
    with pytest.raises(InputError, match="inside must be points"):
        result.region([[(1, 1)]])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"granularity": 0.5}, "granularity is 0.5; give the number of regions, 1 or more"),
        ({"granularity": 100}, "granularity is 100; the model draws 64 regions at most"),
        ({"granularity": "many"}, "granularity is 'many'"),
        ({"inside": [(5, 5)], "outside": [(5, 5)]}, "row 5, column 5. is inside as well"),
        ({"outside": [(5, 5)]}, "give a point inside of it, or its box"),
        ({"inside": [(50, 5)]}, "inside: point .50, 5. lies outside of 40 x 60"),
        ({"inside": 3}, "inside is 3; give points"),
        ({"inside": [((5, 5), (6, 6))]}, "inside must hold points"),
        ({"box": (10, 0, 10, 5)}, "box is .10, 0, 10, 5.; give .top, left, bottom, right."),
        ({"box": 3}, "box is 3; give"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(prompted, segmenter, image, told, message):
    for each in (prompted, segmenter):
        with pytest.raises(InputError, match=message):
            each(image, num_steps=1, **told)


@pytest.mark.parametrize(
    ("told", "kind"), [({"granularity": 5}, "granularity"), ({"box": (0, 0, 5, 5)}, "region")]
)
def test_a_model_without_the_prompt_says_so(segmenter, image, told, kind):
    with pytest.raises(InputError, match=rf"not trained with this prompt.*model\.prompts\.{kind}"):
        segmenter(image, num_steps=1, **told)


def unet_config(**prompts):
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.patch_size = 2
    config.model.net.pixel_channels = 8
    config.model.net.channel_multipliers = (1,)
    config.model.net.blocks_per_level = 1
    config.model.prompts.update(prompts)
    return config


@pytest.mark.slow
def test_a_model_with_prompts_begins_as_one_without(tmp_path, image):
    """The channels of prompts are added to what reads the input, with weights of 0."""
    run = tiny.save_checkpoint(tmp_path / "run", unet_config())
    config = unet_config(granularity=0.5, region=0.5)
    model = model_config.from_config(config)
    kept = initial_weights.kept(run, model)
    assert not kept.new and kept.num_kept == kept.num_params
    from bitdiff_jax.inference import named_params

    params = named_params.as_tree(model, kept.leaves)
    widened = tiny.save_checkpoint(tmp_path / "widened", config, params=params)
    draw = {"num_steps": 2, "seed": 1}
    want = Segmenter.from_checkpoint(run)(image, **draw)
    got = Segmenter.from_checkpoint(widened)
    np.testing.assert_allclose(got(image, **draw).certainty, want.certainty, atol=1e-5)
    asked_for = got(image, **draw, granularity=30)  # not trained yet: as if nothing were asked
    np.testing.assert_allclose(asked_for.certainty, want.certainty, atol=1e-5)
