"""Grids of image features: what part of an image a network sees, read off a grid of the whole.

An encoder returns one vector for each cell of an image; the cells lie side by side from the top
left. A training crop takes its features from the grid of the whole image by bilinear resampling,
two small products of matrices, so that the encoder need not run again. All functions take the array
module, numpy or jax.numpy, since the same is done on the host and inside a compiled step.
"""

from typing import Any, NamedTuple


class View(NamedTuple):
    """What is shown of an image: a rectangle, its sides as parts in [0, 1] of the image's.

    `mirrored` says that the image was mirrored, left and right, before the rectangle was cut.
    """

    top: Any = 0.0
    bottom: Any = 1.0
    left: Any = 0.0
    right: Any = 1.0
    mirrored: bool = False


WHOLE = View()


class StoredCells(NamedTuple):
    """Cells of whole images, and the products that read views off them; of one image, or of B.

    What a training batch holds: the products run on the device, after a map to fewer channels.
    """

    values: Any  # int8 [..., n, n, C], 0 where the image has no cell
    scale: Any  # float32 [..., C]; a feature is its value times this
    rows: Any  # float32 [..., grid, n], see `side_weights`
    columns: Any  # float32 [..., grid, n]


def side_weights(
    xp: Any, start: Any, stop: Any, extent: Any, num_cells: int, valid: Any, side: int, grid: int
) -> Any:
    """Weights of the cells along one side of an image for the cells along one of a view.

    Bilinear, with a filter as wide as a target cell where the view has fewer cells than the image.
    Beyond the border the nearest cell counts.

    Args:
        xp: numpy or jax.numpy.
        start: where the view begins, as a part of the image's side; a scalar or [B, 1, 1].
        stop: where it ends.
        extent: length of the image's side in cells, a fraction of a cell counted as such.
        num_cells: number of cells that are stored along the side.
        valid: number of pixels that the view fills of the square that the network sees.
        side: number of pixels along that square.
        grid: number of cells along it.

    Returns:
        float32 [..., grid, num_cells]. Rows sum to 1; those of cells that begin beyond `valid` are
        zeros.
    """
    target = xp.arange(grid, dtype=xp.float32)[:, None]
    cell = side / grid  # pixels
    part = (target + 0.5) * cell / valid
    where = xp.clip((start + (stop - start) * part) * extent - 0.5, 0, num_cells - 1)
    width = xp.maximum((stop - start) * extent * cell / valid, 1)
    distance = xp.abs(where - xp.arange(num_cells, dtype=xp.float32)[None, :])
    weights = xp.maximum(1 - distance / width, 0)
    weights = weights / xp.sum(weights, axis=-1, keepdims=True)
    return xp.where(target * cell < valid, weights, 0).astype(xp.float32)


def view_weights(
    xp: Any, shape: tuple[int, ...], extent: tuple[Any, Any], view: View, size: tuple[Any, Any],
    side: int, grid: int,
) -> tuple[Any, Any]:  # fmt: skip
    """The matrices of `resample`, [grid, gh] and [grid, gw], for cells of that shape."""
    rows = side_weights(xp, view.top, view.bottom, extent[0], shape[0], size[0], side, grid)
    columns = side_weights(xp, view.left, view.right, extent[1], shape[1], size[1], side, grid)
    return rows, columns


def resample(
    xp: Any, cells: Any, extent: tuple[Any, Any], view: View, size: tuple[Any, Any],
    side: int, grid: int,
) -> Any:  # fmt: skip
    """Features of a view of an image, on the grid of the square that the network sees.

    Args:
        xp: numpy or jax.numpy.
        cells: features of the image, or of its mirror image if `view.mirrored`, [gh, gw, C].
        extent: (height, width) of the image in cells.
        view: what is shown; its left and right are those of the mirrored image if it is mirrored.
        size: (h, w) in pixels that the view fills of the square.
        side: pixels along the square.
        grid: cells along the square.

    Returns:
        [grid, grid, C], float32 or wider; 0 in cells that begin beyond `size`.
    """
    rows, columns = view_weights(xp, cells.shape, extent, view, size, side, grid)
    channels = cells.shape[-1]
    upright = (rows @ cells.reshape(cells.shape[0], -1)).reshape(grid, -1, channels)
    return columns @ upright
