import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import adjusted_rand_index, hungarian_iou, relabel


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=6),
        elements=st.sampled_from([-(2**40), -2, -1, 0, 3, 255, 70000, 2**40]),
    )
)
def test_ids_become_ranks_map_by_map(labels):
    before = labels.copy()
    got = relabel(labels)
    np.testing.assert_array_equal(labels, before)
    assert got.dtype == np.int32 and got.shape == labels.shape
    for index in np.ndindex(labels.shape[:-2]):
        ranks = {old: new for new, old in enumerate(sorted(set(labels[index].flat)))}
        holes = sum(old < 0 for old in ranks)
        expected = [max(ranks[old] - holes, -1) for old in labels[index].flat]
        np.testing.assert_array_equal(got[index].ravel(), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64, np.int8])
def test_every_integer_dtype(dtype):
    got = relabel(np.array([[9, 2], [2, 100]], dtype))
    np.testing.assert_array_equal(got, [[1, 0], [0, 2]])


def test_it_is_the_remedy_that_the_errors_name():
    rng = np.random.default_rng(0)
    names = np.array([-1, 12, 70001, 2**33])
    pred, target = names[rng.integers(0, 4, (2, 2, 10, 10))]
    for metric in (adjusted_rand_index, hungarian_iou):
        with pytest.raises(InputError, match="relabel"):
            metric(pred, target, num_labels=3)
        assert (metric(relabel(pred), relabel(target), num_labels=3) >= -1).all()


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.zeros(3, int), np.zeros((2, 2), bool)])
def test_errors_name_what_was_given(bad):
    with pytest.raises(InputError, match=f"{bad.dtype}"):
        relabel(bad)
