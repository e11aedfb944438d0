import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from bitdiff_jax.encoding import cheapest

batched = jax.jit(jax.vmap(cheapest.assign))


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("most", [1, 3, 1000, cheapest.MAX_COST])
def test_the_sum_is_the_least_there_is(most, x64):
    """Against scipy; few distinct costs make ties, the largest would show an overflow."""
    rng = np.random.default_rng(most)
    cost = rng.integers(0, most, (16, 12, 15), dtype=np.int32, endpoint=True)
    num_rows = rng.integers(0, 13, 16, dtype=np.int32)
    num_rows[:3] = 0, 1, 12
    with jax.enable_x64(x64):
        columns = np.asarray(batched(cost, num_rows))
    assert columns.dtype == np.int32
    for c, n, got in zip(cost.astype(int), num_rows, columns, strict=True):
        assert (got[n:] == -1).all() and len(set(got[:n])) == n
        assert c[np.arange(n), got[:n]].sum() == c[:n][linear_sum_assignment(c[:n])].sum()


def test_square_problems_and_the_smallest():
    rng = np.random.default_rng(0)
    cost = rng.integers(0, 100, (8, 15, 15), dtype=np.int32)
    columns = np.asarray(batched(cost, np.full(8, 15, np.int32)))
    for c, got in zip(cost, columns, strict=True):
        assert sorted(got) == list(range(15))
        assert c[np.arange(15), got].sum() == c[linear_sum_assignment(c)].sum()
    assert cheapest.assign(jnp.array([[5]]), 1).tolist() == [0]


def test_more_rows_than_columns_are_refused():
    with pytest.raises(ValueError, match="3 x 2"):
        cheapest.assign(jnp.zeros((3, 2), int), 2)
