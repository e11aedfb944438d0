"""Procedural scenes: how fast they are drawn, and how they compare with photographs.

    python benchmarks/quality/scenes.py                                       # speed and figures
    python benchmarks/quality/scenes.py --data folder:DIR,split=train,zero=region
    python benchmarks/quality/scenes.py --sheet 2 --out level2.png            # look at them
    python benchmarks/quality/scenes.py --sheet 0 1 2 3 --rows 1 --columns 8 --out docs/scenes.png
    python benchmarks/quality/scenes.py --fit folder:DIR,split=train,zero=region

Speed is by CPU time of one process, the best of three rounds, without what is drawn once per
process (about a second, printed apart). Figures are means over pictures, see
`bitdiff_jax.scenes.edges`; photographs are brought to the size of the scenes first. `--fit`
prints the mixture of colours in `natural/colours.py` and needs the extra `baselines`.
"""

import argparse
import itertools
import pathlib
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from bitdiff_jax.data import specs, transforms
from bitdiff_jax.scenes import SceneSource, edges
from bitdiff_jax.scenes.scene_source import LEVELS

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_MIN_PIXELS = 5


def images(
    spec: str, size: int, count: int, maps: int = 1
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """The first `count` pictures of a source and up to `maps` label maps each, all at `size`."""
    source = specs.open_source(spec, image_size=size)
    for i in range(min(count, len(source))):
        item = source[i]
        height, width = transforms.resized_shape(*item["image"].shape[:2], size)
        tall, wide = item["labels"][0].shape
        rows = ((np.arange(height) + 0.5) * tall / height).astype(int)
        columns = ((np.arange(width) + 0.5) * wide / width).astype(int)
        image = transforms.resize_image(item["image"], (height, width))
        yield image, [labels[rows][:, columns] for labels in item["labels"][:maps]]


def print_figures(spec: str, size: int, count: int) -> None:
    """One line: quantiles of the number of regions, and how far borders can be seen."""
    numbers, largest, figures = [], [], []
    for image, (labels,) in images(spec, size, count):
        area = np.unique(labels, return_counts=True)[1]
        numbers.append(int((area >= _MIN_PIXELS).sum()))
        largest.append(area.max() / labels.size)
        figures.append(edges.measure(image, labels))
    strong, weak, near = np.nanmean(np.array(figures), axis=0)
    quantiles = " ".join(f"{q:4.0f}" for q in np.quantile(numbers, _QUANTILES))
    print(
        f"{spec.split(',seed')[0][-28:]:30}{quantiles}{np.median(largest):9.2f}"
        f"{strong:9.3f}{near:8.3f}{weak:8.3f}",
        flush=True,
    )


def scenes_per_second(level: int, size: int, count: int) -> float:
    """By CPU time, the best of three rounds over the same scenes."""
    source = SceneSource(level=level, size=size, seed=1)
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for i in range(count):
            source[i]
        rounds.append(time.process_time() - start)
    return count / min(rounds)


def print_speed(sizes: list[int], count: int) -> None:
    """A line a level, a column a size."""
    start = time.process_time()
    for i in range(20):
        SceneSource(level=3, size=16, seed=1)[i]
    print(f"once per process: {time.process_time() - start:.2f} s")
    print(f"{'scenes/s of one core':22}" + "".join(f"{size:>5} px" for size in sizes))
    for level in LEVELS:
        speeds = [scenes_per_second(level, size, count) for size in sizes]
        print(f"level {level:<16}" + "".join(f"{speed:8.0f}" for speed in speeds), flush=True)


def write_sheet(levels: list[int], path: pathlib.Path, size: int, rows: int, columns: int) -> None:
    """Scenes with their regions beside them, each region in a random colour."""
    colours = np.random.default_rng(3).integers(30, 250, (64, 3)).astype(np.uint8)
    cells = []
    for level, i in itertools.product(levels, range(rows * columns)):
        item = SceneSource(level=level, size=size, seed=7)[i]
        pair = np.concatenate([item["image"], colours[item["labels"][0]]], axis=1)
        cells.append(np.pad(pair, ((0, 2), (0, 4), (0, 0)), constant_values=255))
    lines = [np.concatenate(cells[k : k + columns], 1) for k in range(0, len(cells), columns)]
    sheet = Image.fromarray(np.concatenate(lines))
    zoom = max(1, round(128 / size))
    sheet.resize((sheet.width * zoom, sheet.height * zoom), Image.Resampling.NEAREST).save(path)
    print(f"wrote {path}")


def print_fit(spec: str) -> None:
    """A mixture of five Gaussians over region means in Lab, and what a picture's regions share."""
    from sklearn.mixture import GaussianMixture

    means, weights, picture = [], [], []
    for i, (image, maps) in enumerate(images(spec, 128, 10**9, maps=3)):
        lab = edges.to_lab(image)
        regions = (lab[labels == k] for labels in maps for k in np.unique(labels))
        for inside in regions:
            if len(inside) >= 16:
                means.append(inside.mean(axis=0))
                weights.append(np.sqrt(len(inside)))
                picture.append(i)
    points, weight, group = np.array(means), np.array(weights), np.array(picture)
    chosen = np.random.default_rng(0).choice(len(points), 20_000, p=weight / weight.sum())
    fit = GaussianMixture(5, random_state=0, n_init=5, reg_covar=4).fit(points[chosen])
    print(f"{len(points)} regions: weight, mean, lower triangle of the covariance's factor")
    for k in np.argsort(-fit.weights_):
        factor = np.linalg.cholesky(fit.covariances_[k])[np.tril_indices(3)]
        print(fit.weights_[k].round(3), fit.means_[k].round(1), factor.round(1))
    centred = points - np.average(points, axis=0, weights=weight)
    within = np.zeros(3)
    for g in np.unique(group):
        mine = group == g
        own = points[mine] - np.average(points[mine], axis=0, weights=weight[mine])
        within += (weight[mine, None] * own**2).sum(axis=0)
    total = (weight[:, None] * centred**2).sum(axis=0)
    print("share of the variance of L, a, b between pictures:", (1 - within / total).round(2))


def main() -> None:
    """Reads the flags and prints or draws what they ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--sizes", type=int, nargs="*", default=[32, 64, 128], help="sides to time")
    add("--size", type=int, default=64, help="side of figures and sheets")
    add("--num_images", type=int, default=200, help="pictures to time and to measure, at most")
    add("--data", nargs="*", default=[], help="other sources to measure, such as photographs")
    add("--sheet", type=int, nargs="+", choices=LEVELS, help="draw a contact sheet of these levels")
    add("--out", type=pathlib.Path, default=pathlib.Path("scenes.png"), help="of the sheet")
    add("--rows", type=int, default=9, help="of each level")
    add("--columns", type=int, default=6)
    add("--fit", help="fit the mixture of colours to a source instead")
    args = parser.parse_args()
    if args.sheet is not None:
        write_sheet(args.sheet, args.out, args.size, args.rows, args.columns)
        return
    if args.fit is not None:
        print_fit(args.fit)
        return

    print_speed(args.sizes, args.num_images)
    print(f"\n{args.size} px, {args.num_images} pictures: regions of at least {_MIN_PIXELS} pixels")
    heads = " ".join(f"{q:4.0%}" for q in _QUANTILES)
    print(f"{'':30}{heads}{'largest':>9}{'strong':>9}{'chance':>8}{'weak':>8}")
    for spec in [f"scenes,level={level},seed=1" for level in LEVELS] + args.data:
        print_figures(spec, args.size, args.num_images)
    print(
        "largest: share of the picture, median. strong: share of the largest tenth of the steps\n"
        "between pixels that lie within one pixel of a border; chance: of all steps. weak: share\n"
        f"of the steps across borders within one pixel of which none reaches {edges.WEAK_STEP:.0f} "
        "in Lab."
    )


if __name__ == "__main__":
    main()
