"""Classical segmentation, tuned, on the pictures that a model is evaluated on.

The settings of each method are chosen by mean ARI on one set of pictures and scored once on
another, by the code and at the size by which `bitdiff evaluate` scores: adjusted Rand index, and
IoU after Hungarian matching, each averaged over the people who drew the picture. Where several did,
one person against another is a row as well, and so is the medoid of people, the one nearest to all,
against the others.

    python benchmarks/quality/classical.py --size 32 --json classical.json
    python benchmarks/quality/classical.py --size 128 \
        --tune_data folder:DIR,split=train,zero=region \
        --data folder:DIR,split=val,zero=region --num_tune 40
    python benchmarks/quality/classical.py --size 128 --tuned bsds500 \
        --data folder:DIR,split=val,zero=region

`--keep NAME` writes the settings into the package's file of them, from which `--tuned NAME` takes
them without tuning. Needs the extra `baselines` (scikit-image, scikit-learn). `docs/evaluation.md`
has the table of BSDS500 and how long it takes.
"""

import argparse
import json
import pathlib
import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bitdiff_jax.data import labelmaps, specs, transforms
from bitdiff_jax.evaluation import baselines, distribution
from bitdiff_jax.evaluation.statistics import estimates


def evaluate(
    name: str,
    tuning: Sequence[baselines.LabelledImage],
    unseen: Sequence[baselines.LabelledImage],
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Tunes one method, unless there are settings, and scores it: a row of the table."""
    start = time.perf_counter()
    chosen = baselines.tune(name, tuning) if settings is None else settings
    return table_row(name, baselines.rows_of(name, unseen, **chosen), chosen, start)


def evaluate_annotators(unseen: Sequence[baselines.LabelledImage]) -> list[dict[str, Any]]:
    """Each person's map, and the medoid of them, against all the others' of the same picture."""
    start = time.perf_counter()
    each_one, medoids = [], []
    for item in unseen:
        if len(item.labels) < 2:
            continue
        rows = [
            baselines.score(each, item.labels[:i] + item.labels[i + 1 :], max(item.image.shape[:2]))
            for i, each in enumerate(item.labels)
        ]
        each_one.append(baselines.Scores(*np.mean(rows, axis=0).tolist()))
        maps = [labelmaps.at_centres(each, item.image.shape[:2]) for each in item.labels]
        between = distribution.distances(maps, maps)["rand"].annotators
        medoids.append(rows[distribution.medoid(between)])
    return [
        table_row("one person against another", each_one, {}, start),
        table_row("medoid of people", medoids, {}, start),
    ]


def table_row(name: str, rows: list[baselines.Scores], settings: dict[str, Any], start: float):
    """Means over the pictures, with their 95 % intervals."""
    ari, iou, _ = (estimates.bootstrap(np.array(column)) for column in zip(*rows, strict=True))
    return {
        "method": name,
        "ari": round(ari.mean, 4),
        "ari_interval": [round(ari.low, 4), round(ari.high, 4)],
        "iou": round(iou.mean, 4),
        "iou_interval": [round(iou.low, 4), round(iou.high, 4)],
        "settings": settings,
        "seconds": round(time.perf_counter() - start, 1),
    }


def images(spec: str, size: int, count: int) -> list[baselines.LabelledImage]:
    """The first `count` pictures of a source, brought to `size`."""
    source = specs.open_source(spec, image_size=size)
    items = (source[i] for i in range(min(count, len(source))))
    return [
        baselines.LabelledImage(
            item["name"],
            transforms.resize_image(
                item["image"], transforms.resized_shape(*item["image"].shape[:2], size)
            ),
            item["labels"],
        )
        for item in items
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", default="scenes,level=1,seed=5", help="pictures to score on, as of `evaluate`")
    add("--tune_data", default="scenes,level=1,seed=1", help="pictures to tune on")
    add("--size", type=int, default=32, help="longest side in pixels")
    add("--num_tune", type=int, default=200, help="pictures to tune on, at most")
    add("--num_images", type=int, default=500, help="pictures to score, at most")
    add("--methods", nargs="*", choices=baselines.METHODS, default=list(baselines.METHODS))
    add("--json", type=pathlib.Path, help="file to write the table to")
    add("--tuned", metavar="NAME", help="take the settings kept under this name; do not tune")
    add("--keep", metavar="NAME", help="keep the settings under this name")
    args = parser.parse_args(argv)

    known = {} if args.tuned is None else baselines.kept(args.tuned)
    missing = [name for name in args.methods if known and name not in known]
    if missing:
        parser.error(f"{missing[0]} is not among the methods kept for {args.tuned}")
    tuning = [] if known else images(args.tune_data, args.size, args.num_tune)
    unseen = images(args.data, args.size, args.num_images)
    print(f"{args.data}, {args.size} px: {len(unseen)} pictures")
    if args.tuned is None:
        print(f"tuned on {len(tuning)} of {args.tune_data}")
    else:
        print(f"settings as kept for {args.tuned}")
    heads = "".join(f"{name:>6}  {'95 % interval':16}" for name in ("ARI", "IoU"))
    print(f"{'method':27}{heads}settings", flush=True)
    rows = []

    def show(row: dict[str, Any]) -> None:
        rows.append(row)
        chosen = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
        cells = ""
        for key in ("ari", "iou"):
            low, high = row[f"{key}_interval"]
            cells += f"{row[key]:6.3f}  {f'[{low:.3f}, {high:.3f}]':16}"
        print(f"{row['method']:27}{cells}{chosen}", flush=True)

    for name in args.methods:
        show(evaluate(name, tuning, unseen, known.get(name)))
        if args.keep is not None:
            # The folder's name alone: where it lies is of this machine.
            tuned_on = re.sub(r":[^,]*/", ":", args.tune_data)
            about = {"tuned_on": tuned_on, "size": args.size}
            baselines.keep(args.keep, {name: rows[-1]["settings"]}, len(tuning), about)
    if any(len(item.labels) > 1 for item in unseen):
        for row in evaluate_annotators(unseen):
            show(row)
    if args.json is not None:
        about = {key: getattr(args, key) for key in ("data", "tune_data", "size")}
        counts = {"tuned_on": len(tuning), "scored_on": len(unseen)}
        args.json.write_text(json.dumps({**about, **counts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
