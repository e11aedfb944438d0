import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.nets.fused.attention import attend


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 4, 5, 12, 100])
def test_chunks_are_the_same_attention_with_the_same_gradients(chunk):
    rng = np.random.default_rng(0)
    q, k, v, w = jnp.asarray(rng.standard_normal((4, 2, 12, 3, 8)), "float32")

    def total(chunk, *arguments):
        return jnp.sum(attend(*arguments, chunk=chunk) * w)

    want = jax.grad(total, argnums=(1, 2, 3))(0, q, k, v)
    got = jax.grad(total, argnums=(1, 2, 3))(chunk, q, k, v)
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
    np.testing.assert_allclose(attend(q, k, v, chunk=chunk), attend(q, k, v), atol=1e-5)


def test_chunks_never_hold_the_whole_table():
    q = jnp.zeros((1, 256, 2, 8))
    whole, parts = (
        jax.jit(lambda q, c=c: attend(q, q, q, chunk=c)).lower(q).compile().memory_analysis()
        for c in (0, 16)
    )
    assert parts.temp_size_in_bytes < whole.temp_size_in_bytes / 4
