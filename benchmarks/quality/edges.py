"""What edges that follow the image are worth, and what they cost, beside pixels repeated as drawn.

Each map is brought to the size of its image in both ways and held against the maps of people there:
boundary F with a tolerance of .0075 of the diagonal, matched one to one, and ARI, both averaged
over the people who drew the image; processor seconds for a megapixel beside it. Without
`--checkpoint` the maps are those of people, each reduced to `--size` and held against itself: what
a model that errs in nothing else would win.

    python benchmarks/quality/edges.py --data bsds500:BSDS500,split=val
    python benchmarks/quality/edges.py --data bsds500:BSDS500,split=val \
        --checkpoint photos --maps drawn_maps

`--maps` keeps what is drawn: a second run takes it from there.
"""

import argparse
import dataclasses
import itertools
import json
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, specs, transforms
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Segmentation, Segmenter, upsampling

COLUMNS = ("F", "ARI", "seconds per megapixel", "regions")


def of_people(source: Source, size: int) -> Iterator[tuple[Segmentation, Sequence[np.ndarray]]]:
    """Of each image one person's map at `size`, and the same map as it was."""
    for i in range(len(source)):
        item = source[i]
        truth = item["labels"][i % len(item["labels"])]
        shape = transforms.resized_shape(*truth.shape, size)
        codes = labelmaps.resize_labels(truth, shape) + 1
        certainty = np.ones((1, *shape), np.float32)
        yield Segmentation(item["image"], codes[None], certainty, 0, item["name"]), [truth]


def of_model(
    source: Source, checkpoint: str, maps: pathlib.Path | None
) -> Iterator[tuple[Segmentation, Sequence[np.ndarray]]]:
    """A map that the model draws of each image, and those of people."""
    segmenter = None
    for i in range(len(source)):
        item = source[i]
        kept = None if maps is None else maps / f"{item['name']}.npz"
        if kept is not None and kept.exists():
            drawn = np.load(kept)
            codes, certainty = drawn["codes"], drawn["certainty"]
        else:
            segmenter = segmenter or Segmenter.from_pretrained(checkpoint)
            result = segmenter(item["image"], name=item["name"])
            codes, certainty = result.codes, result.certainty
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, codes=codes, certainty=certainty)
        yield Segmentation(item["image"], codes[:1], certainty[:1], 0, item["name"]), item["labels"]


def row(segmentation: Segmentation, truths: Sequence[np.ndarray], edges: str) -> list[float]:
    """The values of `COLUMNS`."""
    segmentation = dataclasses.replace(segmentation, edges=edges)
    start = time.process_time()
    label_map = segmentation.label_map(0)
    seconds = time.process_time() - start
    tables = [contingency(label_map, labelmaps.renumber(each)[1]) for each in truths]
    return [
        float(np.mean([metrics.boundary_counts(label_map, each).f for each in truths])),
        float(np.mean([metrics.adjusted_rand_index_from_table(each) for each in tables])),
        seconds / label_map.size * 1e6,
        float(label_map.max()),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="images with the maps of people, as of `bitdiff evaluate`")
    add(
        "--checkpoint",
        help="weights by name, or the --workdir of a training; without it, maps of people",
    )
    add("--maps", type=pathlib.Path, help="folder to keep drawn maps in, and to take them from")
    add("--size", type=int, default=64, help="longest side of people's reduced maps (64)")
    add("--num_images", type=int, default=100, help="images, at most (100)")
    add("--json", type=pathlib.Path, help="file to write the table to")
    args = parser.parse_args(argv)

    source = specs.open_source(args.data, image_size=args.size)
    if args.checkpoint is None:
        every = of_people(source, args.size)
    else:
        every = of_model(source, args.checkpoint, args.maps)
    values = np.array(
        [
            [row(segmentation, truths, edges) for edges in upsampling.EDGES]
            for segmentation, truths in itertools.islice(every, args.num_images)
        ]
    )
    print(f"{args.data}, {len(values)} images")
    print(f"{'edges':18}" + "".join(f"{name:>26}" for name in COLUMNS))
    table: dict[str, dict[str, Any]] = {}
    rows = {edges: values[:, i] for i, edges in enumerate(upsampling.EDGES)}
    rows["difference"] = values[:, 0] - values[:, 1]
    for name, each in rows.items():
        found = [estimates.bootstrap(column) for column in each.T]
        table[name] = {column: e._asdict() for column, e in zip(COLUMNS, found, strict=True)}
        cells = [f"{e.mean:.4f} [{e.low:.4f}, {e.high:.4f}]" for e in found]
        print(f"{name:18}" + "".join(f"{cell:>26}" for cell in cells))
    if args.json is not None:
        args.json.write_text(json.dumps({"data": args.data, "rows": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
