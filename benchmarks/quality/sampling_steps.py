"""Why more steps hurt: one switch each of the sampler, by the number of steps.

Without `--checkpoint` on scenes whose posterior over partitions is known, and with it the best
possible denoiser (`ragged_partitions`); what departs from the posterior is then the sampler's, or
the error's that was added. With `--checkpoint` on a trained model and the maps of annotators, at
the network's own size. Settings share scenes and noise; intervals are 95 % over scenes or images.

    python -m benchmarks.quality.sampling_steps --rows exact.jsonl
    python -m benchmarks.quality.sampling_steps --rows photos.jsonl --checkpoint photos \
        --data folder:BSDS500,split=val,zero=region
    python -m benchmarks.quality.sampling_steps --rows exact.jsonl photos.jsonl --plot steps.svg

Rows are appended as they are finished, and what is there is not drawn again. On two cores the first
takes a quarter of an hour; the second asks the network 1,300 times for every eight images.
"""

import argparse
import json
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.predicted import curves
from benchmarks.quality import sampling_of_exact, sampling_of_model
from bitdiff_jax.evaluation.statistics import estimates

NUM_STEPS = (2, 4, 8, 16, 32, 64, 100, 200)
NUM_TOGETHER = 8  # images of one batch
MODEL = "model"  # stands for the denoiser where it is a trained one
TITLES = {
    "ari": "ARI of one sample",
    "iou": "IoU of one sample",
    "ged2": "GED² with 1 - Rand, unbiased",
    "mode": "how much too often the likeliest partition is drawn",
    "edge": "how much too seldom an edge's pixel lies on the other side",
}
PLOTTED = (
    ("exact denoiser: ARI of one sample", "ari", 0.3, "exact",
     ("DDPM", "DDIM", "2M, uniform in logsnr", "DDIM, temperature .1")),
    ("exact denoiser: GED²", "ged2", -0.02, "exact", ("DDPM", "DDIM", "2M, uniform in logsnr")),
    ("photos: ARI of one sample", "ari", 0.2, MODEL,
     ("DDIM, guidance 0", "2M, guidance 0", "DDIM, guidance 1",
      "DDIM, guidance 1, temperature .1")),
)  # fmt: skip

Key = tuple[str, str, int]
Scores = dict[Key, dict[str, np.ndarray]]


def key_of(row: dict[str, Any]) -> Key:
    return row.get("denoiser", MODEL), row["setting"], row["num_steps"]


def read(paths: Iterable[pathlib.Path]) -> Scores:
    """Scores by denoiser, setting and number of steps; arrays over the same images in order."""
    rows = [json.loads(line) for path in paths if path.exists() for line in path.open()]
    by_key: dict[Key, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row.get("image", 0)):
        by_key.setdefault(key_of(row), []).append(row)
    return {
        key: {
            name: np.concatenate([np.atleast_1d(row[name]) for row in found])
            for name in TITLES
            if name in found[0]
        }
        for key, found in by_key.items()
    }


def table(scores: Scores, metric: str) -> Iterator[str]:
    """A Markdown table: settings down, numbers of steps across, the change from 8 steps at last."""
    found = {
        key: values[metric]
        for key, values in scores.items()
        if metric in values and np.isfinite(values[metric]).any()
    }
    columns = sorted({n for _, _, n in found})
    yield f"\n### {TITLES[metric]}\n"
    yield "| denoiser | setting | " + " | ".join(f"{n}" for n in columns) + " | most - 8 |"
    yield "|" + "---|" * (len(columns) + 3)
    for denoiser, setting in dict.fromkeys(key[:2] for key in found):
        of = {n: found[denoiser, setting, n] for n in columns if (denoiser, setting, n) in found}
        means = {n: values.mean() for n, values in of.items() if np.isfinite(values).all()}
        cells = [f"{means[n]:.3f}" if n in means else "" for n in columns]
        first, last = of.get(8), of[max(of)]
        change = ""
        if first is not None and max(of) > 8 and len(first) == len(last) and max(of) in means:
            e = estimates.bootstrap(last - first)
            change = f"{e.mean:+.3f} {estimates.interval_text(e.low, e.high, 3, '+')}"
        yield f"| {denoiser} | {setting} | " + " | ".join([*cells, change]) + " |"


def plot(scores: Scores) -> str:
    """Curves of some of the settings as SVG."""
    panels = []
    for label, metric, start, denoiser, settings in PLOTTED:
        named = {
            name: [
                (n, float(values[metric].mean()))
                for (of, setting, n), values in sorted(scores.items(), key=lambda each: each[0][2])
                if (of, setting) == (denoiser, name) and metric in values
            ]
            for name in settings
        }
        named = {name: points for name, points in named.items() if points}
        if named:
            panels.append(
                curves.Panel(label, named, lambda y: f"{y:.2f}", start=start, legend="bottom")
            )
    return curves.draw("Scores by the number of steps", "steps", panels)


def append(path: pathlib.Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("a") as file:
        for row in rows:
            kept = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()}
            file.write(json.dumps(kept) + "\n")
            file.flush()


def of_model(args: argparse.Namespace, done: set[tuple[Key, int]]) -> Iterator[dict[str, Any]]:
    drawer = sampling_of_model.Drawer(args.checkpoint, args.data)
    count = min(args.num_images, len(drawer.source))
    chosen = np.linspace(0, len(drawer.source), count, endpoint=False).astype(int).tolist()
    for start in range(0, count, NUM_TOGETHER):
        batch = chosen[start : start + NUM_TOGETHER]
        runs = [
            (setting, n, samples)
            for setting, samples in sampling_of_model.settings()
            for n in args.num_steps
            if ((MODEL, setting.name, n), batch[0]) not in done
        ]
        yield from drawer.rows(batch, runs)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, draws what is missing, prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--rows", type=pathlib.Path, nargs="+", required=True,
        help="JSON lines; what is drawn is appended to the first file")  # fmt: skip
    add("--checkpoint", help="weights by name, or the --workdir of a training")
    add("--data", help="images with maps of annotators, as of `bitdiff evaluate`")
    add("--num_images", type=int, default=24, help="images, evenly spaced (24)")
    add("--num_scenes", type=int, default=1000, help="scenes with a known posterior (1000)")
    add("--num_steps", type=int, nargs="+", default=NUM_STEPS, help="numbers of steps")
    add("--plot", type=pathlib.Path, help="SVG file of the curves; nothing is drawn anew")
    args = parser.parse_args(argv)

    if args.plot is not None:
        args.plot.write_text(plot(read(args.rows)) + "\n")
        return
    lines = args.rows[0].open() if args.rows[0].exists() else ()
    there = [json.loads(line) for line in lines]
    if args.checkpoint is not None:
        done = {(key_of(row), row["image"]) for row in there}
        append(args.rows[0], of_model(args, done))
    else:
        skipped = {key_of(row) for row in there}
        append(args.rows[0], sampling_of_exact.rows(args.num_steps, args.num_scenes, skipped))
    scores = read(args.rows)
    for metric in TITLES:
        if any(metric in values for values in scores.values()):
            print("\n".join(table(scores, metric)))


if __name__ == "__main__":
    main()
