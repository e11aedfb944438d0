import numpy as np
import pytest

from bitdiff_jax.nets.patches import depth_to_space, space_to_depth


@pytest.mark.parametrize("patch_size", [1, 2, 4])
def test_patches_hold_their_pixels_and_come_back(patch_size):
    x = np.random.default_rng(0).standard_normal((2, 8, 12, 3)).astype(np.float32)
    folded = space_to_depth(x, patch_size)
    p = patch_size
    assert folded.shape == (2, 8 // p, 12 // p, 3 * p * p)
    np.testing.assert_array_equal(folded[1, -1, 0], x[1, 8 - p :, :p].reshape(-1))
    np.testing.assert_array_equal(depth_to_space(folded, patch_size), x)
