import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import model as model_lib
from bitdiff_jax import model_config, traces
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.inference import named_params, programs
from bitdiff_jax.parallel.mesh import make_mesh
from tests.inference.tiny import SIZE, random_params, tiny_config

ROWS = 2


@pytest.fixture
def kept(tmp_path):
    traces.keep_in(tmp_path)
    yield tmp_path
    traces.keep_in(None)
    forget()


def forget():
    """As in a new process: nothing is in memory."""
    programs._compile.cache_clear()
    named_params._abstract.cache_clear()


def drawn(model):
    rng = np.random.default_rng(0)
    rows = {
        "image": rng.integers(0, 256, (ROWS, SIZE, SIZE, 3), np.uint8),
        "size": np.full((ROWS, 2), SIZE, np.int32),
        "image_id": np.arange(ROWS, dtype=np.uint32),
        "sample": np.zeros(ROWS, np.uint32),
    }
    mesh = make_mesh(devices=jax.devices()[:1])
    params = jax.device_put(random_params(model), jax.sharding.NamedSharding(mesh, jax.P()))
    forget()
    return programs.compiled(model, params, Sampler(2), mesh, ROWS)(rows, 3)


@pytest.mark.slow
def test_a_kept_trace_draws_the_same_maps_without_running_the_network_s_code(kept, monkeypatch):
    net = {"implementation": "plain", "base_channels": 32, "channel_multipliers": (1,)}
    model = model_config.from_config(tiny_config(net=net))
    traces.keep_in(None)
    plain = drawn(model)
    traces.keep_in(kept)
    first = drawn(model)
    monkeypatch.setattr(model_lib.Model, "sample", None)  # whoever traces it meets this
    second = drawn(model)
    for maps in (first, second):
        np.testing.assert_array_equal(maps.codes, plain.codes)
        np.testing.assert_allclose(maps.certainty, plain.certainty, atol=1e-6)


@pytest.mark.slow
def test_an_own_network_is_traced_each_time(kept):
    model = model_config.from_config(tiny_config())
    for _ in range(2):
        assert jnp.unique(drawn(model).codes).size > 1
    assert list(kept.iterdir()) == []
