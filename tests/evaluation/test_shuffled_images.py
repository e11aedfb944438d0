import hypothesis
import hypothesis.strategies as st
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.shuffled_images import other_image

_SHAPE = st.tuples(st.integers(1, 6), st.integers(1, 6))


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(shapes=st.lists(_SHAPE, min_size=2, max_size=20), random=st.randoms())
def test_is_a_permutation_without_fixed_points_whatever_the_order(shapes, random):
    ids = random.sample(range(1000), len(shapes))
    partners = other_image(shapes, ids)
    assert sorted(partners) == list(range(len(shapes)))
    assert all(i != p for i, p in enumerate(partners))

    order = random.sample(range(len(shapes)), len(shapes))
    moved = other_image([shapes[i] for i in order], [ids[i] for i in order])
    assert [ids[order[p]] for p in moved] == [ids[partners[i]] for i in order]


def test_partners_have_the_same_shape_where_there_are_two():
    shapes = [(2, 3), (3, 2)] * 5
    for i, partner in enumerate(other_image(shapes, range(10))):
        assert shapes[i] == shapes[partner]
    # Two kinds of wide pictures: all but one of each.
    shapes = [(2, 3), (2, 5)] * 5
    same = [shapes[i] == shapes[p] for i, p in enumerate(other_image(shapes, range(10)))]
    assert sum(same) == 8


def test_a_image_alone_of_its_orientation_gets_a_partner():
    partners = other_image([(2, 3), (2, 3), (3, 2), (2, 3)], range(4))
    assert partners[2] != 2
    assert other_image([(1, 2), (2, 1)], [5, 6]) == [1, 0]


def test_one_image_cannot_be_shuffled():
    with pytest.raises(InputError, match="at least 2"):
        other_image([(2, 3)], [0])
