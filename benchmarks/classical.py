"""Classical segmentation, tuned, on procedural scenes or on a folder of pictures.

The settings of each method are chosen by mean ARI on training pictures and scored once on unseen
ones; where several people drew a picture, its score is the mean over them. Regions are compared
as the model's are: adjusted Rand index, and IoU after Hungarian matching.

    python benchmarks/classical.py --size 32 --json classical.json
    python benchmarks/classical.py --folder DIR --split val --size 128 --tune 40

Needs the extra `baselines` (scikit-image, scikit-learn). On one core: 2 minutes at 32 pixels with
the default 200 and 500 scenes, 5 at 64.
"""

import argparse
import itertools
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from skimage.color import rgb2lab
from skimage.segmentation import felzenszwalb, slic
from sklearn.cluster import KMeans

from bitdiff_jax import metrics
from bitdiff_jax.data.folder import FolderSource
from bitdiff_jax.data.scenes import SceneSource

Item = dict[str, Any]


class Method(NamedTuple):
    """A way to segment, and the settings to choose from."""

    segment: Callable[..., np.ndarray]
    grid: dict[str, list[Any]]

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination in the grid."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def one_region(image: np.ndarray) -> np.ndarray:
    """The floor: the whole picture is one region."""
    return np.zeros(image.shape[:2], np.int32)


def graph(image: np.ndarray, scale: float, sigma: float, min_area: float) -> np.ndarray:
    """Felzenszwalb and Huttenlocher's graph merging; `min_area` is a share of the picture."""
    min_size = max(1, round(min_area * image.shape[0] * image.shape[1]))
    return felzenszwalb(image, scale=scale, sigma=sigma, min_size=min_size)


def superpixels(image: np.ndarray, count: int, compactness: float, sigma: float) -> np.ndarray:
    """SLIC with about as many segments as a picture has regions."""
    return slic(image, n_segments=count, compactness=compactness, sigma=sigma, start_label=0)


def cluster(image: np.ndarray, count: int, position: float) -> np.ndarray:
    """K-means on Lab colour and `position` times the place, in percent of the longest side."""
    h, w = image.shape[:2]
    place = np.moveaxis(np.mgrid[:h, :w], 0, -1) * (100 * position / max(h, w))
    features = np.concatenate([rgb2lab(image), place], axis=-1).reshape(h * w, 5)
    fit = KMeans(count, n_init=1, max_iter=30, random_state=0).fit(features)
    return fit.labels_.reshape(h, w)


METHODS = {
    "one region": Method(one_region, {}),
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
        {"count": [3, 5, 8, 12, 20], "compactness": [3, 10, 30, 100], "sigma": [0.0, 1.0, 2.0]},
    ),
    "k-means, colour": Method(cluster, {"count": [2, 3, 4, 5, 6, 8], "position": [0.0]}),
    "k-means, colour and place": Method(
        cluster, {"count": [3, 4, 5, 6, 8, 10], "position": [0.25, 0.5, 1.0, 2.0]}
    ),
}


def mean_score(figure: Callable[..., Any], pred: np.ndarray, item: Item) -> float:
    """`figure` of a prediction, averaged over the people who drew the picture."""
    count = 1 + max(int(each.max()) for each in (pred, *item["labels"]))
    return float(np.nanmean([figure(pred, each, num_labels=count) for each in item["labels"]]))


def tune(method: Method, items: list[Item]) -> dict[str, Any]:
    """The settings with the highest mean ARI on `items`."""

    def mean_ari(settings: dict[str, Any]) -> float:
        preds = (method.segment(item["image"], **settings) for item in items)
        scores = map(mean_score, itertools.repeat(metrics.adjusted_rand_index), preds, items)
        return float(np.mean(list(scores)))

    candidates = list(method.settings())
    return candidates[0] if len(candidates) == 1 else max(candidates, key=mean_ari)


def evaluate(name: str, train: list[Item], unseen: list[Item]) -> dict[str, Any]:
    """Tunes one method and scores it: a row of the table."""
    method = METHODS[name]
    start = time.perf_counter()
    settings = tune(method, train)
    preds = [method.segment(item["image"], **settings) for item in unseen]
    pairs = list(zip(preds, unseen, strict=True))
    ari = [mean_score(metrics.adjusted_rand_index, *pair) for pair in pairs]
    iou = [mean_score(metrics.hungarian_iou, *pair) for pair in pairs]
    return {
        "method": name,
        "ari": round(float(np.mean(ari)), 4),
        "ari_standard_error": round(float(np.std(ari) / np.sqrt(len(ari))), 4),
        "iou": round(float(np.mean(iou)), 4),
        "settings": settings,
        "seconds": round(time.perf_counter() - start, 1),
    }


def pictures(args: argparse.Namespace) -> tuple[list[Item], list[Item]]:
    """Training pictures and unseen ones."""
    sources: list[Any]
    if args.folder is None:
        sources = [SceneSource(args.level, args.size, seed) for seed in (args.seed, args.seed + 1)]
    else:
        sources = [
            FolderSource(args.folder, split, zero=args.zero, max_side=args.size)
            for split in (args.tune_split, args.split)
        ]
    counts = (args.tune, args.score)
    train, unseen = (
        [source[i] for i in range(min(n, len(source)))]
        for source, n in zip(sources, counts, strict=True)
    )
    return train, unseen


def main() -> None:
    """Reads the flags, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", help="pictures to use instead of scenes: images/, labels/")
    parser.add_argument("--split", default="val", help="of the folder, to score on")
    parser.add_argument("--tune-split", default="train", help="of the folder, to tune on")
    parser.add_argument("--zero", choices=["ignore", "region"], help="what id 0 means there")
    parser.add_argument("--level", type=int, default=1, help="of the scenes")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes to tune on; + 1 scores")
    parser.add_argument("--size", type=int, default=32, help="side, or longest side, in pixels")
    parser.add_argument("--tune", type=int, default=200, help="pictures to tune on, at most")
    parser.add_argument("--score", type=int, default=500, help="pictures to score, at most")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--json", type=pathlib.Path, help="file to write the table to")
    args = parser.parse_args()

    train, unseen = pictures(args)
    data = args.folder or f"scenes, level {args.level}"
    print(f"{data}, {args.size} px: tuned on {len(train)}, scored on {len(unseen)}")
    print(f"{'method':27}{'ARI':>7}{'+-':>7}{'IoU':>7}  settings", flush=True)
    rows = []
    for name in args.methods:
        row = evaluate(name, train, unseen)
        rows.append(row)
        chosen = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
        figures = f"{row['ari']:7.3f}{row['ari_standard_error']:7.3f}{row['iou']:7.3f}"
        print(f"{name:27}{figures}  {chosen}", flush=True)
    if args.json is not None:
        table = {"data": data, "size": args.size, "tuned_on": len(train), "scored_on": len(unseen)}
        args.json.write_text(json.dumps({**table, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
