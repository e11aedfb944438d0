import numpy as np

from bitdiff_jax.inference import trust
from bitdiff_jax.inference.segmentation import Segmentation

HALVES = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, axis=0)


def warnings(maps, *, certainty=1.0, agreement=None, num_codes=64):
    maps = np.asarray(maps)
    sure = np.full(maps.shape, certainty, np.float32)
    shown = None if agreement is None else np.full(maps.shape[1:], agreement, np.float32)
    return trust.warnings(maps, sure, shown, num_codes)


def test_a_clear_map_has_none():
    assert warnings([HALVES], agreement=0.95) == ()
    assert warnings([HALVES]) == ()


def test_codes_that_have_run_out_are_told():
    grid = np.arange(64).reshape(8, 8)
    (line,) = warnings([HALVES, grid])
    assert line.startswith("64 of the model's 64 codes are in use") and "\n" not in line
    assert len(warnings([np.minimum(grid, 62)])) == 1
    assert warnings([np.minimum(grid, 40)]) == ()
    assert warnings([grid], num_codes=None) == warnings([grid], num_codes=256) == ()


def test_samples_that_disagree_and_codes_that_are_not_decided_are_told():
    (line,) = warnings([HALVES], agreement=trust.LOW_AGREEMENT - 0.01)
    assert line.startswith("the samples disagree")
    (line,) = warnings([HALVES], certainty=trust.LOW_CONFIDENCE - 0.01)
    assert line.startswith("codes are not clearly decided")
    assert len(warnings([HALVES], agreement=0.1, certainty=0.1)) == 2


def test_a_segmentation_tells_its_own():
    rng = np.random.default_rng(0)
    codes = rng.permuted(np.arange(64).repeat(16)).reshape(1, 32, 32).astype(np.int32)
    result = Segmentation(
        np.zeros((32, 32, 3), np.uint8), codes, np.ones(codes.shape, np.float32), 0, num_codes=64
    )
    (line,) = result.without_specks(0).warnings
    assert line.startswith("64 of")
