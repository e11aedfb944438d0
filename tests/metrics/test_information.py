import numpy as np
import pytest
from skimage.metrics import variation_of_information as by_skimage
from sklearn.metrics import mutual_info_score

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import (
    conditional_entropies_from_table,
    contingency_table,
    variation_of_information,
    variation_of_information_from_table,
)
from tests.metrics import cases, oracle


def entropy(ids):
    return mutual_info_score(ids, ids)


def test_agrees_with_skimage_and_sklearn():
    for pred, target in [*cases.maps(), cases.three_hundred_regions()]:
        p, t = oracle.valid_ids(pred, target)
        table, _ = cases.table_of(pred, target)
        over, under = conditional_entropies_from_table(table)
        nats = variation_of_information_from_table(table, unit="nats")
        got = variation_of_information(pred, target, num_labels=cases.labels_of(pred, target))
        if not p.size:
            assert np.isnan([over, under, nats, got]).all()
            continue
        p = np.unique(p, return_inverse=True)[1]
        assert [over, under] == pytest.approx(by_skimage(t, p), abs=1e-10)
        expected = entropy(p) + entropy(t) - 2 * mutual_info_score(p, t)
        assert nats == pytest.approx(expected, abs=1e-10)
        assert got == pytest.approx(nats / np.log(2), abs=1e-12) == pytest.approx(over + under)
        assert got >= 0


def test_equal_is_exactly_zero_and_halves_are_one_bit():
    for labels in (np.zeros((5, 5), int), np.arange(25).reshape(5, 5)):
        assert variation_of_information(24 - labels, labels, num_labels=25) == 0.0
    halves = np.repeat([0, 1], 8)[None]
    over, under = conditional_entropies_from_table([[8], [8]])
    assert (over, under) == (1.0, 0.0)
    assert variation_of_information(0 * halves, halves, num_labels=2) == 1.0


def test_it_is_a_metric():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b, c = rng.integers(0, 4, (3, 6, 6))
        vi = lambda x, y: variation_of_information(x, y, num_labels=4)  # noqa: E731
        assert vi(a, b) == pytest.approx(vi(b, a), abs=1e-12)
        assert vi(a, c) <= vi(a, b) + vi(b, c) + 1e-12


def test_device_tables_masks_and_large_images():
    rng = np.random.default_rng(1)
    pred, target = rng.integers(-1, 5, (2, 3, 8, 8))
    mask = rng.random((3, 8, 8)) < 0.7
    got = variation_of_information(pred, target, mask, num_labels=5)
    tables = contingency_table(pred, target, mask, num_labels=5)
    np.testing.assert_array_equal(variation_of_information_from_table(tables), got)
    assert got.shape == (3,) and got.dtype == np.float64
    # 2^30 pixels: the products of counts are beyond int32, the shares are those of the small table.
    small = np.array([[3, 1], [0, 4]])
    large = (small * 2**27).astype(np.int32)
    assert variation_of_information_from_table(large) == pytest.approx(
        variation_of_information_from_table(small), abs=1e-14
    )


def test_errors_say_what_to_do():
    with pytest.raises(InputError, match="bits"):
        variation_of_information_from_table([[1]], unit="bans")
    with pytest.raises(InputError, match="contingency_table"):
        variation_of_information_from_table([[1.0]])
