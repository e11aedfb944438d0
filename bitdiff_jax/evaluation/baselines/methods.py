"""Methods that segment an image without learning, and the settings to choose from.

All but the first three need the extra `baselines` (scikit-image, scikit-learn), which is imported
when they are used. Each takes an image, uint8 [h, w, 3], and returns integers [h, w], ids >= 0.
"""

import functools
import importlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError


class Method(NamedTuple):
    """A segmentation method, and the grid of settings to choose from."""

    segment: Callable[..., np.ndarray]
    grid: dict[str, list[Any]]

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination in the grid."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def one_region(image: np.ndarray) -> np.ndarray:
    """The whole image as one region, which is the lowest baseline."""
    return np.zeros(image.shape[:2], np.int32)


def bands(image: np.ndarray, count: int) -> np.ndarray:
    """Horizontal bands of equal height, a baseline that knows only the horizon."""
    h, w = image.shape[:2]
    return np.broadcast_to((np.arange(h) * count // h)[:, None], (h, w))


def cells(image: np.ndarray, count: int) -> np.ndarray:
    """A grid of `count` x `count` equal cells, a baseline of many small regions anywhere."""
    h, w = image.shape[:2]
    return (np.arange(h) * count // h)[:, None] * count + np.arange(w) * count // w


def graph(image: np.ndarray, scale: float, sigma: float, min_area: float) -> np.ndarray:
    """Felzenszwalb and Huttenlocher's graph merging (IJCV 2004).

    `min_area` is a share of the image.
    """
    segmentation = _library("skimage.segmentation")
    min_size = max(1, round(min_area * image.shape[0] * image.shape[1]))
    return segmentation.felzenszwalb(image, scale=scale, sigma=sigma, min_size=min_size)


def superpixels(image: np.ndarray, count: int, compactness: float, sigma: float) -> np.ndarray:
    """SLIC (Achanta et al. 2012) with about as many segments as an image has regions."""
    segmentation = _library("skimage.segmentation")
    return segmentation.slic(
        image, n_segments=count, compactness=compactness, sigma=sigma, start_label=0
    )


def merged_superpixels(
    image: np.ndarray, count: int, compactness: float, threshold: float
) -> np.ndarray:
    """SLIC with many segments, neighbours of which are merged by their mean Lab colours.

    Average linkage: two groups are merged while the mean distance (delta E 1976) between their
    members is below `threshold`.
    """
    cluster = _library("sklearn.cluster")
    ids = superpixels(image, count, compactness, sigma=0.0)
    ids = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
    total = int(ids.max()) + 1
    if total < 2:
        return ids
    lab = _library("skimage.color").rgb2lab(image).reshape(-1, 3)
    areas = np.bincount(ids.ravel())
    colours = [np.bincount(ids.ravel(), channel) / areas for channel in lab.T]
    merging = cluster.AgglomerativeClustering(
        n_clusters=None,
        distance_threshold=threshold,
        linkage="average",
        connectivity=_neighbours(ids, total),
    )
    return merging.fit_predict(np.stack(colours, axis=1))[ids]


def modes(image: np.ndarray, kernel_size: float, max_dist: float, ratio: float) -> np.ndarray:
    """Quickshift (Vedaldi and Soatto 2008) on Lab colour and place."""
    segmentation = _library("skimage.segmentation")
    return segmentation.quickshift(
        image, kernel_size=kernel_size, max_dist=max_dist, ratio=ratio, rng=0
    )


def clusters(image: np.ndarray, count: int, position: float) -> np.ndarray:
    """K-means on Lab colour and `position` times the place in percent of the longest side."""
    h, w = image.shape[:2]
    place = np.moveaxis(np.mgrid[:h, :w], 0, -1) * (100 * position / max(h, w))
    colours = _library("skimage.color").rgb2lab(image)
    features = np.concatenate([colours, place], axis=-1).reshape(h * w, 5)
    count = min(count, len(np.unique(features, axis=0)))
    k_means = _library("sklearn.cluster").KMeans(count, n_init=1, max_iter=30, random_state=0)
    return k_means.fit(features).labels_.reshape(h, w)


METHODS: dict[str, Method] = {
    "one region": Method(one_region, {}),
    "bands": Method(bands, {"count": [2, 3, 4, 5]}),
    "grid": Method(cells, {"count": [2, 3, 4, 5, 6]}),
    "felzenszwalb": Method(
        graph,
        {
            "scale": [10, 50, 100, 200, 400, 800, 1600],
            "sigma": [0.0, 0.5, 0.8, 1.2, 2.0],
            "min_area": [0.0005, 0.002, 0.01, 0.02, 0.04],
        },
    ),
    "slic": Method(
        superpixels,
        {
            "count": [2, 3, 5, 8, 12, 20],
            "compactness": [1, 3, 10, 30, 100],
            "sigma": [0.0, 1.0, 2.0, 4.0],
        },
    ),
    "slic, merged": Method(
        merged_superpixels,
        {
            "count": [50, 100, 200],
            "compactness": [10, 30],
            "threshold": [6, 9, 12, 16, 20, 25, 32, 40],
        },
    ),
    "quickshift": Method(
        modes,
        {"kernel_size": [2, 3, 5], "max_dist": [6, 10, 20, 40, 80], "ratio": [0.25, 0.5, 1.0]},
    ),
    "k-means, colour": Method(clusters, {"count": [2, 3, 4, 5, 6, 8], "position": [0.0]}),
    "k-means, colour and place": Method(
        clusters, {"count": [2, 3, 4, 5, 6, 8, 10], "position": [0.1, 0.25, 0.5, 1.0, 2.0]}
    ),
}


def segment(image: np.ndarray, name: str, **settings: Any) -> np.ndarray:
    """Segments an image with one of the methods.

    Args:
        image: the image, uint8 [h, w, 3].
        name: name of the method, a key of `METHODS`.
        **settings: arguments of the method.

    Returns:
        A label map, int32 [h, w], ids >= 0.

    Raises:
        InputError: the method or a setting is unknown, the image is not uint8 [h, w, 3], or the
            extra is missing.
    """
    if name not in METHODS:
        raise InputError(f"method {name!r} is not known: use one of {', '.join(METHODS)}")
    if set(settings) != set(METHODS[name].grid):
        wanted = ", ".join(METHODS[name].grid) or "no settings"
        raise InputError(f"{name} takes {wanted}, not {', '.join(settings) or 'no settings'}")
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f"a picture must be uint8 [h, w, 3], not {image.dtype} {image.shape}")
    return np.ascontiguousarray(METHODS[name].segment(image, **settings), np.int32)


def _neighbours(ids: np.ndarray, total: int) -> Any:
    """A sparse [total, total] matrix of which segments share a border."""
    from scipy import sparse

    pairs = np.concatenate(
        [
            np.stack([ids[:, :-1].ravel(), ids[:, 1:].ravel()]),
            np.stack([ids[:-1].ravel(), ids[1:].ravel()]),
        ],
        axis=1,
    )
    first, second = pairs[:, pairs[0] != pairs[1]]
    joined = sparse.coo_matrix((np.ones(len(first)), (first, second)), (total, total))
    return (joined + joined.T).tocsr()


@functools.cache
def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"this method needs {name.partition('.')[0]}; pip install 'bitdiff_jax[baselines]'"
        ) from None
