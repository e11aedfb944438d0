"""The true programs, compiled for machines that are not there. Needs their compilers."""

import dataclasses
import importlib.util
import json

import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.compile import compiled_figures, remote
from bitdiff_jax.errors import InputError

pytestmark = pytest.mark.slow

tpu = pytest.mark.skipif(
    not importlib.util.find_spec("libtpu"),
    reason="the TPU compiler is not installed: pip install 'bitdiff_jax[compile]'",
)
cuda = pytest.mark.skipif(
    not importlib.util.find_spec("jax_cuda12_plugin"),
    reason="the CUDA compiler is not installed: pip install 'bitdiff_jax[compile]'",
)


@pytest.fixture
def config():
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.base_channels = 8
    config.model.net.num_heads = 1
    config.model.net.channel_multipliers = (1,)
    config.model.net.dtype = "bfloat16"
    # Most of the code for a TPU is the palette's: fewer codes, less of it.
    config.model.num_bits = 2
    config.model.palette.max_regions = 8
    config.sampling.num_steps = 3
    return config


def compile_for(accelerator, program, config, folder, batch=8):
    values = json.loads(config.to_json_best_effort())
    request = remote.Request(values, accelerator, program, batch, str(folder))
    measured = remote.compile_remotely(request)
    text = remote.program_text(measured, str(folder))
    again = remote.compile_remotely(dataclasses.replace(request, only_cached=True))
    assert again == dataclasses.replace(measured, cached=True)
    return compiled_figures.make(measured, text, config)


def carried(found):
    """Bytes of the collectives: the gradients in float32, once, and a handful of sums.

    Equal gradients, of two biases that are added to the same, are summed but once.
    """
    return sum(size for _, size in found.costs.collectives.values())


@tpu
def test_the_training_step_on_four_v5e(config, tmp_path):
    found = compile_for("v5e-4", "train", config, tmp_path)
    assert found.devices == 4 and found.measured.per_device == 2 and found.fits
    assert set(found.costs.collectives) == {"all-reduce"}
    assert carried(found) == pytest.approx(4 * found.parameters, rel=0.01)
    # The state, with two moments and an average, and the batch.
    assert found.measured.memory["arguments"] > 16 * found.parameters
    assert found.measured.memory["code"] > 0 and found.measured.xla["flops"] > 0
    assert found.costs.cycles > 0 and found.predicted_seconds > found.peak_seconds > 0
    assert 0.9 < found.costs.flops / found.model_flops < 2
    assert None not in [trips for _, trips in found.costs.loops]


@tpu
def test_the_sampler_on_four_v5e_does_not_communicate(config, tmp_path):
    found = compile_for("v5e-4", "sample", config, tmp_path)
    assert found.costs.collectives == {}
    assert 3 in [trips for _, trips in found.costs.loops]
    assert 0.9 < found.costs.flops / found.model_flops < 2


@cuda
def test_both_programs_on_eight_h100(config, tmp_path):
    found = compile_for("h100-8", "train", config, tmp_path)
    assert found.devices == 8 and found.fits and found.predicted_seconds is None
    assert carried(found) == pytest.approx(4 * found.parameters, rel=0.01)
    assert found.costs.flops == pytest.approx(found.model_flops, rel=0.1)
    drawn = compile_for("h100-8", "sample", config, tmp_path)
    assert drawn.costs.collectives == {}
    assert drawn.costs.flops == pytest.approx(drawn.model_flops, rel=0.05)


@cuda
def test_a_batch_that_cannot_be_split_is_an_error_of_the_users(config, tmp_path):
    with pytest.raises(InputError, match="3"):
        compile_for("h100-8", "train", config, tmp_path, batch=3)
