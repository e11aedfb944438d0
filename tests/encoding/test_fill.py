import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from bitdiff_jax.encoding import fill


@pytest.mark.parametrize("shape", [(17, 23), (1, 40), (40, 1), (32, 32)])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_each_hole_takes_a_label_at_the_least_distance(shape, share):
    rng = np.random.default_rng(int(share * 100))
    label_map = np.where(rng.random(shape) < share, rng.integers(0, 9, shape), -1).astype(np.int32)
    label_map[0, 0] = 3
    got = np.asarray(jax.jit(fill.nearest_label)(label_map))
    distance = ndimage.distance_transform_edt(label_map < 0)
    assert (got >= 0).all()
    np.testing.assert_array_equal(got[label_map >= 0], label_map[label_map >= 0])
    for label in range(9):
        here = got == label
        own = label_map == label
        to_own = ndimage.distance_transform_edt(~own) if own.any() else np.full(shape, np.inf)
        np.testing.assert_allclose(to_own[here], distance[here])


@pytest.mark.slow
def test_padding_neither_lends_nor_takes():
    label_map = jnp.full((6, 6), -1).at[1, 1].set(4).at[5, 5].set(7)
    mask = jnp.zeros((6, 6), bool).at[:4, :4].set(True)
    got = np.asarray(fill.nearest_label(label_map, mask))
    assert (got[:4, :4] == 4).all() and got[5, 5] == 7 and got[5, 0] == -1


@pytest.mark.slow
def test_nothing_to_fill_from():
    empty = jnp.full((5, 4), -1)
    np.testing.assert_array_equal(fill.nearest_label(empty), empty)


@pytest.mark.slow
def test_under_vmap():
    maps = jnp.stack([jnp.full((3, 3), -1).at[0, 0].set(i) for i in range(4)])
    got = jax.vmap(fill.nearest_label)(maps)
    np.testing.assert_array_equal(got, np.arange(4)[:, None, None] * np.ones((1, 3, 3), int))
