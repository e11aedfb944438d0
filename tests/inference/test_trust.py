import numpy as np

from bitdiff_jax.inference import trust
from bitdiff_jax.inference.segmentation import Segmentation

HALVES = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, axis=0)


def warnings(maps, *, certainty=1.0, agreement=None, num_codes=64, guided=True):
    maps = np.asarray(maps)
    sure = np.full(maps.shape, certainty, np.float32)
    shown = None if agreement is None else np.full(maps.shape[1:], agreement, np.float32)
    return trust.warnings(maps, sure, shown, num_codes, guided)


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


def test_samples_without_guidance_may_disagree():
    assert warnings([HALVES], agreement=0.1, guided=False) == ()
    assert len(warnings([HALVES], agreement=0.1, certainty=0.1, guided=False)) == 1
    for guided in (True, False):
        codes = np.stack([HALVES, HALVES.T, HALVES % 1, (HALVES + HALVES.T) % 2]).astype(np.int32)
        sure = np.ones(codes.shape, np.float32)
        image = np.zeros((8, 8, 3), np.uint8)
        result = Segmentation(image, codes, sure, 0, min_area=0, guided=guided)
        assert result.agreement.mean() < trust.LOW_AGREEMENT
        assert len(result.warnings) == guided


def test_a_segmentation_tells_its_own():
    rng = np.random.default_rng(0)
    codes = rng.permuted(np.arange(64).repeat(16)).reshape(1, 32, 32).astype(np.int32)
    result = Segmentation(
        np.zeros((32, 32, 3), np.uint8), codes, np.ones(codes.shape, np.float32), 0, num_codes=64
    )
    (line,) = result.without_specks(0).warnings
    assert line.startswith("64 of")
