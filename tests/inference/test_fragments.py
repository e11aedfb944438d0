import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bitdiff_jax.inference import fragments, specks

maps = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)
)


def cores(labels, seed):
    """The numbers of pieces, shown at some of their pixels; of some pieces at none."""
    rng = np.random.default_rng(seed)
    piece = specks.pieces(labels)
    shown = np.where(rng.random(labels.shape) < 0.3, piece, -1)
    if (shown < 0).all():
        shown[0, 0] = piece[0, 0]
    return np.where(shown < 0, -1, np.searchsorted(np.unique(shown[shown >= 0]), shown))


def check(before, after, kept):
    """The `kept` pieces stay as they were, and no piece is left that has none of them."""
    piece = specks.pieces(before)
    np.testing.assert_array_equal(after[kept[piece]], before[kept[piece]])
    left = specks.pieces(after)
    for number in range(left.max() + 1):
        assert kept[piece[left == number]].any()


@settings(max_examples=40, deadline=None)
@given(maps, st.integers(0, 2**16))
def test_pieces_with_a_core_stay_and_no_others(labels, seed):
    core = cores(labels, seed)
    piece = specks.pieces(labels)
    check(labels, fragments.settle(labels, core), np.isin(np.arange(labels.size), piece[core >= 0]))


@settings(max_examples=40, deadline=None)
@given(maps, st.integers(1, 9), st.integers(0, 2**16))
def test_pieces_of_the_area_stay_and_no_others(labels, min_area, seed):
    core = cores(labels, seed)
    whole = fragments.settle(labels, core)
    settled = fragments.settle(labels, core, min_area)
    large = np.bincount(specks.pieces(whole).ravel(), minlength=labels.size) >= min_area
    if large.any():
        check(whole, settled, large)
    else:
        np.testing.assert_array_equal(settled, whole)


def test_a_fragment_takes_the_label_of_its_longest_border():
    labels = np.zeros((5, 8), np.int32)
    labels[:, 4:] = 1
    labels[1:4, 4] = 7  # three sides to 1 at its right, three to 0 at its left, and 1 at both ends
    core = np.where(labels == 7, -1, labels)
    settled = fragments.settle(labels, core)
    assert (settled[1:4, 4] == 1).all()


def test_fragments_among_fragments_wait_for_their_neighbours():
    labels = np.array([[0, 1, 2, 3]])
    core = np.array([[0, -1, -1, -1]])
    np.testing.assert_array_equal(fragments.settle(labels, core), [[0, 0, 0, 0]])
    # One and the same label, in a piece with a core and in one without.
    labels, core = np.array([[5, 6, 5]]), np.array([[0, 1, -1]])
    np.testing.assert_array_equal(fragments.settle(labels, core), [[5, 6, 6]])
