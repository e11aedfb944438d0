"""Classical segmentation, tuned, on procedural scenes or on a folder of pictures.

Each method's settings are chosen on training pictures by mean ARI, then scored once on unseen
ones; where several people drew a picture, a score is the mean over them.

    python benchmarks/classical.py --size 32
    python benchmarks/classical.py --folder DIR --split val --size 128 --json out.json

Needs the extra `baselines` (scikit-image, scikit-learn). Takes a few minutes on one core.
"""

import argparse
import itertools
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from skimage.color import rgb2lab
from skimage.segmentation import felzenszwalb, slic
from sklearn.cluster import KMeans

from bitdiff_jax.data.scenes import SceneSource

Picture = tuple[np.ndarray, tuple[np.ndarray, ...]]
Segment = Callable[..., np.ndarray]


class Method(NamedTuple):
    """A way to segment, and the settings to choose from."""

    segment: Segment
    grid: dict[str, list[Any]]

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination in the grid."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def one_region(image: np.ndarray) -> np.ndarray:
    """The floor: everything is one region."""
    return np.zeros(image.shape[:2], np.int32)


def graph_merge(image: np.ndarray, scale: float, sigma: float, min_area: float) -> np.ndarray:
    """Felzenszwalb and Huttenlocher's graph merging; `min_area` is a fraction of the picture."""
    min_size = max(1, round(min_area * image.shape[0] * image.shape[1]))
    return felzenszwalb(image, scale=scale, sigma=sigma, min_size=min_size)


def superpixels(image: np.ndarray, count: int, compactness: float, sigma: float) -> np.ndarray:
    """SLIC with about as many segments as a picture has regions."""
    return slic(image, n_segments=count, compactness=compactness, sigma=sigma, start_label=0)


def cluster(image: np.ndarray, count: int, position: float) -> np.ndarray:
    """K-means on Lab colour and, scaled by `position`, the place in the picture."""
    h, w = image.shape[:2]
    rows, columns = np.mgrid[:h, :w] / max(h, w)
    place = 100 * position * np.stack([rows, columns], axis=-1)
    features = np.concatenate([rgb2lab(image), place], axis=-1).reshape(h * w, 5)
    fit = KMeans(count, n_init=1, max_iter=30, random_state=0).fit(features)
    return fit.labels_.reshape(h, w)


METHODS = {
    "one region": Method(one_region, {}),
    "felzenszwalb": Method(
        graph_merge,
        {
            "scale": [1, 3, 10, 30, 100, 200, 400, 800, 1600],
            "sigma": [0.0, 0.5, 0.8, 1.2, 2.0, 3.0],
            "min_area": [0.002, 0.01, 0.02, 0.04, 0.07],
        },
    ),
    "slic": Method(
        superpixels,
        {"count": [3, 5, 8, 12, 20], "compactness": [1, 3, 10, 30], "sigma": [0.0, 1.0, 2.0]},
    ),
    "k-means colour": Method(cluster, {"count": [2, 3, 4, 5, 6, 8], "position": [0.0]}),
    "k-means colour + position": Method(
        cluster, {"count": [3, 4, 5, 6, 8, 10], "position": [0.25, 0.5, 1.0, 2.0]}
    ),
}


def score(pred: np.ndarray, labels: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Mean ARI and mean Hungarian IoU over the annotators of one picture."""
    from sklearn.metrics import adjusted_rand_score
    return np.mean([adjusted_rand_score(t[t>=0], pred[t>=0]) for t in labels]), 0.0


def tune(method: Method, pictures: list[Picture]) -> dict[str, Any]:
    """The settings of the highest mean ARI."""
    candidates = list(method.settings())
    if len(candidates) == 1:
        return candidates[0]

    def mean_ari(settings: dict[str, Any]) -> float:
        return float(np.mean([score(method.segment(im, **settings), ls)[0] for im, ls in pictures]))

    return max(candidates, key=mean_ari)


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--tune", type=int, default=200)
    p.add_argument("--score", type=int, default=500)
    p.add_argument("--methods", default=",".join(METHODS))
    a = p.parse_args()
    def take(seed, n):
        s = SceneSource(1, a.size, seed)
        return [(s[i]["image"], s[i]["labels"]) for i in range(n)]
    train, unseen = take(0, a.tune), take(1, a.score)
    for name in a.methods.split(","):
        t = time.perf_counter()
        best = tune(METHODS[name], train)
        ari = np.mean([score(METHODS[name].segment(im, **best), ls)[0] for im, ls in unseen])
        print(f"{name:28s} {ari:.3f} {best} {time.perf_counter()-t:.0f}s", flush=True)


if __name__ == "__main__":
    main()
