import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.errors import InputError

sides = st.integers(1, 13)


def blocks(array, shape):
    """The source pixels under each target pixel, cut into equal parts: [H, W, h * w, ...]."""
    (h, w), (H, W) = array.shape[:2], shape
    fine = array.repeat(H, axis=0).repeat(W, axis=1)
    fine = fine.reshape(H, h, W, w, *array.shape[2:]).swapaxes(1, 2)
    return fine.reshape(H, W, h * w, *array.shape[2:])


def vote(values):
    """Most frequent value; the lowest of equals, -1 last."""
    ids, counts = np.unique(values, return_counts=True)
    best = ids[counts == counts.max()]
    return min(best[best >= 0], default=-1)


def test_labels_agree_with_the_reference(golden):
    file = golden("preprocess")
    names = [key.split("/")[0] for key in file if key.endswith("/label128")]
    assert names
    for name in names:
        labels = file[f"{name}/label"].astype(np.int32)
        shape = transforms.resized_shape(*labels.shape, 128)
        got = transforms.pad_to_square(labelmaps.resize_labels(labels, shape, "nearest"), 128, 0)
        np.testing.assert_array_equal(got, file[f"{name}/label128"])


@settings(max_examples=30, deadline=None)
@given(
    labels=hnp.arrays(np.int32, st.tuples(sides, sides), elements=st.integers(-1, 3)),
    shape=st.tuples(sides, sides),
    factor=st.sampled_from([1, 7, 40_000_000]),
)
def test_majority_is_the_vote_over_the_covered_area(labels, shape, factor):
    labels = np.where(labels < 0, -1, labels * factor).astype(np.int32)
    cells = blocks(labels, shape).reshape(-1, labels.size)
    expected = np.array([vote(cell) for cell in cells]).reshape(shape)
    got = labelmaps.resize_labels(labels, shape, "majority")
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, expected)


def test_majority_with_many_regions_needs_little_memory_and_is_exact():
    labels = np.arange(400 * 300, dtype=np.int32).reshape(400, 300)
    got = labelmaps.resize_labels(labels, (80, 60), "majority")
    # All areas are equal: the lowest id of each 5 x 5 block.
    np.testing.assert_array_equal(got, labels[::5, ::5])


def test_unknown_method_is_named():
    with pytest.raises(InputError, match="'mode'"):
        labelmaps.resize_labels(np.zeros((2, 2), np.int32), (1, 1), "mode")


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.int32,
        st.tuples(sides, sides),
        elements=st.sampled_from([-1, 0, 1, 5, 6, 254, 65_535, 2**31 - 1]),
    )
)
def test_compact_keeps_order_partition_and_ignored(labels):
    got, dropped = labelmaps.compact(labels, max_regions=2)
    ids = np.unique(labels[labels >= 0])
    np.testing.assert_array_equal(got < 0, labels < 0)
    np.testing.assert_array_equal(ids[got[got >= 0]], labels[labels >= 0])
    assert set(got[got >= 0]) == set(range(len(ids)))
    assert dropped == np.isin(labels, ids[2:]).sum()
    assert got.dtype == np.int32


def test_compact_of_nothing_but_ignored():
    got, dropped = labelmaps.compact(np.full((3, 4), -1, np.int32), max_regions=1)
    assert (got == -1).all() and dropped == 0


@pytest.mark.parametrize("ids", [[0, 4], [-1, 0, 9], [-1], [5], [-1, 2**31 - 1], [0, 2**31 - 1]])
def test_renumbering_can_be_undone(ids):
    labels = np.random.default_rng(0).choice(np.array(ids, np.int32), (6, 7))
    labels.ravel()[: len(ids)] = ids
    regions, numbers = labelmaps.renumber(labels)
    assert regions.tolist() == [i for i in ids if i >= 0]
    np.testing.assert_array_equal(np.append(regions, -1)[numbers], labels)
