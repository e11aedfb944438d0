import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax import feature_grids
from bitdiff_jax.feature_grids import WHOLE, View


def affine(height, width, extent):
    """Cells whose two channels are the place of their centres, in parts of the image."""
    rows = (np.arange(height) + 0.5) / extent[0]
    columns = (np.arange(width) + 0.5) / extent[1]
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).astype(np.float32)


def test_the_whole_image_at_the_encoders_grid_is_what_the_encoder_gave():
    cells = np.random.default_rng(0).normal(size=(64, 64, 5)).astype(np.float32)
    found = feature_grids.resample(np, cells, (64, 64), WHOLE, (64, 64), 64, 64)
    np.testing.assert_allclose(found, cells, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0, 0.5), st.floats(0.55, 1), st.floats(0, 0.5), st.floats(0.55, 1),
    st.integers(16, 64), st.integers(16, 64), st.sampled_from([16, 32, 64]),
)  # fmt: skip
def test_a_view_reads_places_off_the_cells(top, bottom, left, right, height, width, grid):
    extent = (42.7, 64.0)
    cells = affine(43, 64, extent)
    view = View(top, bottom, left, right)
    found = feature_grids.resample(np, cells, extent, view, (height, width), 64, grid)
    cell = 64 / grid
    centres = (np.arange(grid) + 0.5) * cell
    # Away from the border, beyond which the nearest cell counts, places are read exactly.
    margin = max(1.0 / 42, (bottom - top) * cell / height, (right - left) * cell / width)
    for axis, (start, stop, length) in enumerate([(top, bottom, height), (left, right, width)]):
        place = start + (stop - start) * centres / length
        inside = (np.arange(grid) * cell < length) & (place > margin) & (place < 1 - margin)
        other = found[:, 0, axis] if axis == 0 else found[0, :, axis]
        np.testing.assert_allclose(other[inside], place[inside], atol=2e-3)
    assert not found[np.arange(grid) * cell >= height].any()
    assert not found[:, np.arange(grid) * cell >= width].any()


@pytest.mark.parametrize("size", [(1, 64), (64, 1), (1, 1)])
def test_slivers_have_finite_features(size):
    cells = np.ones((1, 64, 2), np.float32)
    found = feature_grids.resample(np, cells, (0.3, 64), WHOLE, size, 64, 64)
    assert np.isfinite(found).all() and found[0, 0, 0] == pytest.approx(1)


@pytest.mark.slow
def test_both_array_modules_agree():
    cells = np.random.default_rng(1).normal(size=(43, 64, 3)).astype(np.float32)
    view = View(0.1, 0.7, 0.2, 0.9)
    args = ((42.7, 64.0), view, (50, 64), 64, 32)
    here = feature_grids.resample(np, cells, *args)
    there = feature_grids.resample(jnp, jnp.asarray(cells), *args)
    np.testing.assert_allclose(here, there, atol=1e-5)
