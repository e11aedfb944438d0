import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.metrics import BoundaryCounts, optimal_boundary_scales, optimal_scales


def test_means_of_images_as_the_benchmark_takes_them():
    values = np.array([[0.2, 0.6, 0.5], [0.9, 0.5, 0.8]])
    assert optimal_scales(values) == pytest.approx((0.65, 2, 0.75))
    assert optimal_scales(values, lower_is_better=True) == pytest.approx((0.55, 0, 0.35))
    # Covering: numerators and denominators are added up.
    pixels = np.array([300, 100])
    got = optimal_scales(values, weights=pixels)
    totals = (values * pixels[:, None]).sum(0) / pixels.sum()
    assert got.ods == pytest.approx(totals.max()) and got.ods_index == 1
    assert got.ois == pytest.approx((0.6 * 300 + 0.9 * 100) / 400)


def test_random_sets_and_gaps():
    rng = np.random.default_rng(0)
    for _ in range(100):
        values = rng.random(rng.integers(1, 9, 2))
        for lower, best in ((False, np.max), (True, np.min)):
            got = optimal_scales(values, lower_is_better=lower)
            assert got.ods == pytest.approx(best(values.mean(0)))
            assert values.mean(0)[got.ods_index] == pytest.approx(got.ods)
            assert got.ois == pytest.approx(best(values, axis=1).mean())
            gap = np.vstack([values, np.full(values.shape[1], np.nan)])
            assert optimal_scales(gap, lower_is_better=lower) == pytest.approx(got)
    nothing = optimal_scales(np.full((2, 3), np.nan))
    assert np.isnan([nothing.ods, nothing.ois]).all() and nothing.ods_index == -1


def test_boundaries_are_added_up_before_they_are_divided():
    rng = np.random.default_rng(1)
    for _ in range(50):
        images, parameters = rng.integers(1, 6, 2)
        wanted = rng.integers(0, 50, (images, parameters, 2))
        right = (wanted * rng.random(wanted.shape)).astype(int)
        counts = [
            [
                BoundaryCounts(*map(int, (r[0], w[0], r[1], w[1])))
                for r, w in zip(rs, ws, strict=True)
            ]
            for rs, ws in zip(right, wanted, strict=True)
        ]
        f = []
        for k in range(parameters):
            (rp, rt), (p, t) = right[:, k].sum(0), wanted[:, k].sum(0)
            precision, recall = (rp / p if p else 1.0), (rt / t if t else 1.0)
            f.append(2 * precision * recall / (precision + recall) if rp or rt else 0.0)
        got = optimal_boundary_scales(counts)
        if (wanted[..., 0].sum(0) > 0).all() and (wanted[..., 1].sum(0) > 0).all():
            assert got.ods == pytest.approx(max(f)) and got.ods_index == int(np.argmax(f))
        best = [max(row, key=lambda c: c.f) for row in counts]
        total = best[0]
        for each in best[1:]:
            total = total.plus(each)
        assert got.ois == pytest.approx(total.f)


def test_errors_say_what_to_do():
    with pytest.raises(InputError, match=r"pictures, parameters.*\(3,\)"):
        optimal_scales([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"weights must be \[1\]"):
        optimal_scales([[1.0]], weights=[1.0, 2.0])
    for bad in ([], [[]], [[BoundaryCounts(0, 0, 0, 0)], []]):
        with pytest.raises(InputError, match="same number"):
            optimal_boundary_scales(bad)
