import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import region_count_error_from_table
from tests.metrics import cases, oracle


def test_agrees_with_sets_of_ids():
    for pred, target in [*cases.maps(), cases.three_hundred_regions()]:
        p, t = (len(set(ids.tolist())) for ids in oracle.valid_ids(pred, target))
        table, _ = cases.table_of(pred, target)
        got = [
            region_count_error_from_table(table, kind=kind)
            for kind in ("absolute", "signed", "log2")
        ]
        if not t:
            assert np.isnan(got).all()
            continue
        assert got == pytest.approx([abs(p - t), p - t, np.log2(p) - np.log2(t)], abs=1e-12)


def test_batches_and_errors():
    tables = np.array([[[1, 0], [2, 0]], [[1, 1], [0, 0]]])
    got = region_count_error_from_table(tables, kind="signed")
    np.testing.assert_array_equal(got, [1.0, -1.0])
    with pytest.raises(InputError, match="absolute, signed, log2"):
        region_count_error_from_table(tables, kind="squared")
