"""Classical segmentation, tuned, on the pictures that a model is evaluated on.

The settings of each method are chosen by mean ARI on one set of pictures and scored once on
another, by the code and at the size by which `bitdiff evaluate` scores: adjusted Rand index, and
IoU after Hungarian matching, each averaged over the people who drew the picture. Where several did,
one person against another is a row as well.

    python benchmarks/classical.py --size 32 --json classical.json
    python benchmarks/classical.py --size 128 --tune_data folder:DIR,split=train,zero=region \
        --data folder:DIR,split=val,zero=region --num_tune 40

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

from bitdiff_jax.data import specs, transforms
from bitdiff_jax.evaluation import scoring, tables


class Picture(NamedTuple):
    """A picture at the size of scoring, and its truths at their own."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3]
    labels: tuple[np.ndarray, ...]  # int32 [H, W] of each person


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


def bands(image: np.ndarray, count: int) -> np.ndarray:
    """Horizontal bands of equal height: what knowing the horizon alone gives."""
    h, w = image.shape[:2]
    return np.broadcast_to((np.arange(h) * count // h)[:, None], (h, w))


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
    "bands": Method(bands, {"count": [2, 3, 4, 5]}),
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


def rows_of(segment: Callable[..., np.ndarray], items: list[Picture], **settings: Any):
    """The figures of a method on each picture; what it draws has the size of scoring."""
    return [
        scoring.score(
            item.name,
            segment(item.image, **settings)[None],
            item.labels,
            score_size=max(item.image.shape[:2]),
        )
        for item in items
    ]


def tune(method: Method, items: list[Picture]) -> dict[str, Any]:
    """The settings with the highest mean ARI on `items`."""

    def mean_ari(settings: dict[str, Any]) -> float:
        return float(np.mean([row.ari for row in rows_of(method.segment, items, **settings)]))

    candidates = list(method.settings())
    return candidates[0] if len(candidates) == 1 else max(candidates, key=mean_ari)


def evaluate(name: str, tuning: list[Picture], unseen: list[Picture]) -> dict[str, Any]:
    """Tunes one method and scores it: a row of the table."""
    start = time.perf_counter()
    settings = tune(METHODS[name], tuning)
    rows = rows_of(METHODS[name].segment, unseen, **settings)
    return table_row(name, rows, settings, start)


def evaluate_people(unseen: list[Picture]) -> dict[str, Any]:
    """Each person's map against all the others' of the same picture."""
    start = time.perf_counter()
    rows = []
    for item in unseen:
        size = max(item.image.shape[:2])
        others = [
            scoring.score(
                item.name, each[None], item.labels[:i] + item.labels[i + 1 :], score_size=size
            )
            for i, each in enumerate(item.labels)
            if len(item.labels) > 1
        ]
        if others:
            means = {
                key: float(np.mean([getattr(row, key) for row in others])) for key in ("ari", "iou")
            }
            rows.append(others[0]._replace(**means))
    return table_row("one person against another", rows, {}, start)


def table_row(name: str, rows: list[scoring.Row], settings: dict[str, Any], start: float):
    """Means over the pictures, with the 95 % interval of the ARI."""
    summary = tables.summarise(rows)
    return {
        "method": name,
        "ari": round(summary["ari"].mean, 4),
        "ari_interval": [round(summary["ari"].low, 4), round(summary["ari"].high, 4)],
        "iou": round(summary["iou"].mean, 4),
        "settings": settings,
        "seconds": round(time.perf_counter() - start, 1),
    }


def pictures(spec: str, size: int, count: int) -> list[Picture]:
    """The first `count` pictures of a source, brought to `size`."""
    source = specs.open_source(spec, image_size=size)
    items = (source[i] for i in range(min(count, len(source))))
    return [
        Picture(
            item["name"],
            transforms.resize_image(
                item["image"], transforms.resized_shape(*item["image"].shape[:2], size)
            ),
            item["labels"],
        )
        for item in items
    ]


def main() -> None:
    """Reads the flags, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", default="scenes,level=1,seed=5", help="pictures to score on, as of `evaluate`")
    add("--tune_data", default="scenes,level=1,seed=1", help="pictures to tune on")
    add("--size", type=int, default=32, help="longest side in pixels")
    add("--num_tune", type=int, default=200, help="pictures to tune on, at most")
    add("--num_images", type=int, default=500, help="pictures to score, at most")
    add("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    add("--json", type=pathlib.Path, help="file to write the table to")
    args = parser.parse_args()

    tuning = pictures(args.tune_data, args.size, args.num_tune)
    unseen = pictures(args.data, args.size, args.num_images)
    print(f"{args.data}, {args.size} px: {len(unseen)} pictures")
    print(f"tuned on {len(tuning)} of {args.tune_data}")
    print(f"{'method':27}{'ARI':>6}  {'95 % interval':16}{'IoU':>6}  settings", flush=True)
    rows = []

    def show(row: dict[str, Any]) -> None:
        rows.append(row)
        chosen = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
        low, high = row["ari_interval"]
        interval = f"[{low:.3f}, {high:.3f}]"
        print(
            f"{row['method']:27}{row['ari']:6.3f}  {interval:16}{row['iou']:6.3f}  {chosen}",
            flush=True,
        )

    for name in args.methods:
        show(evaluate(name, tuning, unseen))
    if any(len(item.labels) > 1 for item in unseen):
        show(evaluate_people(unseen))
    if args.json is not None:
        about = {key: getattr(args, key) for key in ("data", "tune_data", "size")}
        counts = {"tuned_on": len(tuning), "scored_on": len(unseen)}
        args.json.write_text(json.dumps({**about, **counts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
