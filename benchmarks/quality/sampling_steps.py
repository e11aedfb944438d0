"""Why more steps hurt: one switch each of the sampler, by the number of steps.

Without `--checkpoint` on scenes whose posterior over partitions is known, and with it the best
possible denoiser (`ragged_partitions`); what departs from the posterior is then the sampler's, or
the error's that was added. With `--checkpoint` on a trained model and the maps of annotators, at
the network's own size. Settings share scenes and noise; intervals are 95 % over scenes or images.

    python -m benchmarks.quality.sampling_steps --rows exact.jsonl
    python -m benchmarks.quality.sampling_steps --rows photos.jsonl --checkpoint photos \
        --data bsds500:BSDS500,split=val
    python -m benchmarks.quality.sampling_steps --rows exact.jsonl photos.jsonl --plot steps.svg

Rows are appended as they are finished, and what is there is not drawn again. On two cores the first
takes a quarter of an hour; the second asks the network 1,300 times for every eight images.
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.predicted import curves
from benchmarks.quality import sampling_of_exact, sampling_of_model
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.parallel import compilation_cache

NUM_STEPS = (2, 4, 8, 16, 32, 100, 200)
# The columns after that of the change in ARI.
CHANGES = {"ged2": "GED²", "mode": "likeliest", "edge": "edge"}
PLOTTED = (
    ("exact denoiser: ARI of one sample", "ari", 0.3, "exact",
     ("DDPM", "DDIM", "2M, uniform in logsnr", "DDIM, temperature .1")),
    ("exact denoiser: GED²", "ged2", -0.02, "exact", ("DDPM", "DDIM", "2M, uniform in logsnr")),
    ("photos: ARI of one sample", "ari", 0.0, "photos",
     ("DDIM, guidance 0", "2M, guidance 0", "DDIM, guidance 1",
      "DDIM, guidance 1, temperature .1")),
)  # fmt: skip

Key = tuple[str, str, int]  # denoiser, setting, number of steps
Scores = dict[Key, dict[str, dict[int, float]]]  # by metric, then by image or scene


def key_of(row: dict[str, Any]) -> Key:
    return row["denoiser"], row["setting"], row["num_steps"]


def read(paths: Iterable[pathlib.Path]) -> Scores:
    """Scores of JSON lines; those of known scenes hold an array, those of a model one image."""
    scores: Scores = {}
    for row in (json.loads(line) for path in paths if path.exists() for line in path.open()):
        of = scores.setdefault(key_of(row), {})
        for metric in ("ari", "iou", *CHANGES):
            if metric in row:
                values = np.atleast_1d(row[metric])
                first = row.get("image", 0)
                of.setdefault(metric, {}).update(enumerate(values.tolist(), first))
    return scores


def paired(scores: Scores, keys: Sequence[Key], metric: str) -> np.ndarray:
    """A metric over the images that all the keys have, float [keys, images]."""
    of = [
        {i: v for i, v in scores.get(key, {}).get(metric, {}).items() if np.isfinite(v)}
        for key in keys
    ]
    common = sorted(set.intersection(*(set(each) for each in of)))
    return np.array([[each[i] for i in common] for each in of])


def short(value: float, sign: str = "") -> str:
    """Three digits, without the zero before the point."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1)


def table(scores: Scores) -> Iterator[str]:
    """A Markdown table: settings down, ARI by steps across, then what changes to the most steps.

    All figures of a row are over the same images. Changes are from 8 steps, or from the fewest of a
    row that has none with 8.
    """
    columns = sorted({n for _, _, n in scores if n})
    yield "| | images | " + " | ".join(map(str, columns)) + " | change | " + " | ".join(
        CHANGES.values()
    ) + " |"  # fmt: skip
    yield "|" + "---|" * (len(columns) + 3 + len(CHANGES))
    for denoiser, setting in dict.fromkeys(key[:2] for key in scores):
        steps = [n for n in columns if (denoiser, setting, n) in scores] or [0]
        keys = [(denoiser, setting, n) for n in steps]
        ari = dict(zip(steps, paired(scores, keys, "ari"), strict=True))
        shown = dict.fromkeys(columns, ari[0]) if steps == [0] else ari  # exact draws: no steps
        cells = [short(shown[n].mean()) if n in shown else "" for n in columns]
        first, last = 8 if 8 in steps else steps[0], steps[-1]
        change = ""
        if last != first:
            e = estimates.bootstrap(ari[last] - ari[first])
            change = f"{short(e.mean, '+')} [{short(e.low, '+')}, {short(e.high, '+')}]"
        changes = [change]
        for metric in CHANGES:
            of = dict(zip(steps, paired(scores, keys, metric), strict=True))
            ends = [short(of[n].mean()) for n in dict.fromkeys((first, last)) if of[n].size]
            changes.append(" → ".join(ends))
        name, count = f"{denoiser}: {setting}", len(ari[steps[0]])
        yield f"| {name} | {count:,} | " + " | ".join([*cells, *changes]) + " |"


def plot(scores: Scores) -> str:
    """Curves of some of the settings as SVG; all points of a panel are of the same images."""
    panels = []
    for label, metric, start, denoiser, settings in PLOTTED:
        keys = sorted(key for key in scores if key[0] == denoiser and key[1] in settings)
        named: dict[str, list[tuple[float, float | None]]] = {}
        if keys:
            means = paired(scores, keys, metric).mean(axis=1).tolist()
            for (_, name, n), mean in zip(keys, means, strict=True):
                named.setdefault(name, []).append((n, mean))
        named = {name: named[name] for name in settings if name in named}
        if named:
            # Of few scenes a curve may lie below where the panel of all begins.
            lowest = min(y for points in named.values() for _, y in points if y is not None)
            panels.append(
                curves.Panel(
                    label, named, lambda y: f"{y:.2f}", start=min(start, lowest), legend="bottom"
                )
            )
    return curves.draw("Scores by the number of steps", "steps", panels)


def append(path: pathlib.Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("a") as file:
        for row in rows:
            kept = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()}
            file.write(json.dumps(kept) + "\n")
            file.flush()


def of_model(
    args: argparse.Namespace, done: set[tuple[Key, int]], chosen: Callable[[str, str], bool]
) -> Iterator[dict[str, Any]]:
    name = pathlib.Path(args.checkpoint).name
    drawer = sampling_of_model.Drawer(args.checkpoint, args.data)
    order = np.random.default_rng(0).permutation(len(drawer.source))
    images = order[: args.num_images].tolist()
    for start in range(0, len(images), args.batch_size):
        batch = images[start : start + args.batch_size]
        runs = [
            sampling_of_model.Run(setting, n, args.num_samples or num_samples)
            for setting, num_samples in sampling_of_model.settings(drawer.model.self_conditioned)
            for n in args.num_steps
            if chosen(name, setting.name)
            if any(((name, setting.name, n), image) not in done for image in batch)
        ]
        yield from ({"denoiser": name, **row} for row in drawer.rows(batch, runs))


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, draws what is missing, prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--rows", type=pathlib.Path, nargs="+", required=True,
        help="JSON lines; what is drawn is appended to the first file")  # fmt: skip
    add("--checkpoint", help="weights by name, or the --workdir of a training")
    add("--data", help="images with maps of annotators, as of `bitdiff evaluate`")
    add("--num_images", type=int, default=100, help="images, in an order by chance (100)")
    add("--num_samples", type=int, help="samples of each image (by setting, 1 or 2)")
    add("--batch_size", type=int, default=8, help="images at once (8)")
    add("--settings", nargs="+", help="some of the settings, DENOISER: NAME (all)")
    add("--num_scenes", type=int, default=1000, help="scenes with a known posterior (1000)")
    add("--num_steps", type=int, nargs="+", default=NUM_STEPS, help="numbers of steps")
    add("--plot", type=pathlib.Path, help="SVG file of the curves; nothing is drawn anew")
    args = parser.parse_args(argv)

    if args.plot is not None:
        args.plot.write_text(plot(read(args.rows)) + "\n")
        return

    def chosen(denoiser: str, setting: str) -> bool:
        return args.settings is None or f"{denoiser}: {setting}" in args.settings

    lines = args.rows[0].open() if args.rows[0].exists() else ()
    there = [json.loads(line) for line in lines]
    if args.checkpoint is not None:
        compilation_cache.enable()
        done = {(key_of(row), row["image"]) for row in there}
        append(args.rows[0], of_model(args, done, chosen))
    else:
        skipped = {key_of(row) for row in there}
        rows = sampling_of_exact.rows(args.num_steps, args.num_scenes, skipped, chosen)
        append(args.rows[0], rows)
    print("\n".join(table(read(args.rows))))


if __name__ == "__main__":
    main()
