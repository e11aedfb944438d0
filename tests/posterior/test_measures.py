import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import measures

MAP = np.array(
    [
        [5, 5, 5, 9],
        [5, 2, 5, 9],
        [5, 5, 5, -1],
    ]
)


def test_known_values():
    assert measures.count()(MAP) == 3
    assert measures.count(min_area=2)(MAP) == 2
    assert measures.area((0, 0))(MAP) == 8
    assert measures.area((1, 1))(MAP) == 1
    assert measures.perimeter((1, 1))(MAP) == 4
    assert measures.perimeter((0, 3))(MAP) == 2  # not the edge, not the ignored pixel
    assert measures.perimeter((0, 0))(MAP) == measures.perimeter()(MAP) == 6
    assert measures.adjacent((0, 0), (1, 1))(MAP) == 1
    assert measures.adjacent((1, 1), (0, 3))(MAP) == 0
    assert measures.adjacent((0, 0), (2, 2))(MAP) == 0  # one region


def test_ids_do_not_matter():
    ids = np.random.default_rng(0).integers(0, 4, (9, 11))
    other = np.array([70, 3, 12, 0])[ids]
    for measure in (
        measures.count(20), measures.area((2, 3)), measures.perimeter((2, 3)), measures.perimeter(),
        measures.adjacent((0, 0), (5, 5)),
    ):  # fmt: skip
        assert measure(ids) == measure(other)


def test_corners_do_not_touch():
    assert measures.adjacent((0, 0), (1, 1))(np.array([[0, 1], [2, 3]])) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: measures.count(min_area=-1), "min_area is -1"),
        (lambda: measures.area((2, 3))(MAP), r"point: point \(2, 3\) is ignored"),
        (lambda: measures.perimeter((7, 0))(MAP), "lies outside"),
        (lambda: measures.adjacent((0, 0), (0, 0, 1))(MAP), "q must be"),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(InputError, match=message):
        make()
