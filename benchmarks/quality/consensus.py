"""Which consensus of several maps is nearest to people, by criterion, and what it costs.

Without `--predictions` and `--checkpoint` people are the samples, exact ones of the truth: each
person's map is held against the consensus of the maps of all the others. With either, the consensus
of a model's samples is held against every person. Maps are compared at `--size` pixels: adjusted
Rand index and IoU after Hungarian matching, each the mean over the people of an image and then over
the images, with 95 % intervals; the difference in ARI from the medoid is paired by image.

    python benchmarks/quality/consensus.py --data bsds500:BSDS500,split=val --size 128
    python benchmarks/quality/consensus.py --data bsds500:BSDS500,split=val --size 128 \
        --checkpoint photos --num_samples 16 --temperature 1
    python benchmarks/quality/consensus.py --data bsds500:BSDS500,split=val --size 128 \
        --checkpoint photos --num_samples 16 --temperature 1 --as_written \
        --criteria medoid vi appearance
    python benchmarks/quality/consensus.py --data bsds500:BSDS500,split=val --size 128 \
        --predictions drawn

With `--as_written` maps are compared as `bitdiff segment` writes them: found at the resolution at
which they were drawn, without specks, and brought to the image's size with edges that follow it.

`--predictions` takes what `bitdiff evaluate` takes, with several maps of each image, such as
`ID_0.png`, `ID_1.png`, ... or `ID.npz` with 'labels' [samples, h, w].
"""

import argparse
import dataclasses
import json
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, specs, transforms
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.diffusion import presets
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.predictions import open_predictions
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Segmentation, Segmenter
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior.consensus import APPEARANCE, CRITERIA

ONE = "one sample"


class Case(NamedTuple):
    """Samples [n, h, w] of an image and the maps of people that a consensus is held against."""

    image: int
    samples: np.ndarray
    truths: list[np.ndarray]
    result: Segmentation | None = None  # of a model's samples


def truths_of(source: Source, index: int, size: int) -> list[np.ndarray]:
    """People's maps of an image at `size`, ids from 0."""
    labels = source[index]["labels"]
    shape = transforms.resized_shape(*labels[0].shape, size)
    return [labelmaps.renumber(labelmaps.at_centres(each, shape))[1] for each in labels]


def of_people(source: Source, count: int, size: int) -> Iterator[Case]:
    """Each person's map with those of all the others."""
    for i in range(count):
        truths = truths_of(source, i, size)
        for k, truth in enumerate(truths):
            if others := truths[:k] + truths[k + 1 :]:
                yield Case(i, np.stack(others), [truth])


def of_files(source: Source, count: int, size: int, path: str) -> Iterator[Case]:
    """The maps of a tool or a model from files."""
    names = [source[i]["name"] for i in range(count)]
    predictions = open_predictions(path, like=names)
    for i, name in enumerate(names):
        truths = truths_of(source, i, size)
        maps = [labelmaps.at_centres(m, truths[0].shape) for m in predictions.maps(name)]
        yield Case(i, np.stack(maps), truths)


def of_drawn(source: Source, count: int, size: int, path: str) -> Iterator[Case]:
    """Samples that were drawn before, NAME.codes int [n, h, w] of an npz file; the images in it."""
    with np.load(path) as drawn:
        for i in range(count):
            name = f"{source[i]['name']}.codes"
            if name in drawn:
                truths = truths_of(source, i, size)
                maps = drawn[name].astype(np.int32)
                yield Case(i, labelmaps.at_centres(maps, truths[0].shape), truths)


def of_model(
    source: Source,
    count: int,
    size: int,
    checkpoint: str,
    num_samples: int,
    mirrored: bool = False,
    **settings: float | str,
) -> Iterator[Case]:
    """Samples that a model draws with these settings of the sampler, else with its own.

    Half of them are of the mirrored image if `mirrored` says so.
    """
    segmenter = Segmenter.from_pretrained(checkpoint)
    for i in range(count):
        truths = truths_of(source, i, size)
        image, half = source[i]["image"], num_samples // 2 if mirrored else 0
        result = segmenter(image, num_samples=num_samples - half, **settings)
        if half:
            other = segmenter(image[:, ::-1], num_samples=half, **settings)
            result = result.with_mirrored(other)
        yield Case(i, labelmaps.at_centres(result.maps, truths[0].shape), truths, result)


def scores(label_map: np.ndarray, truths: list[np.ndarray]) -> list[float]:
    """ARI, IoU and regions of one map."""
    tables = [contingency(labelmaps.renumber(label_map)[1], truth) for truth in truths]
    return [
        float(np.mean([metrics.adjusted_rand_index_from_table(each) for each in tables])),
        float(np.mean([metrics.hungarian_iou_from_table(each) for each in tables])),
        float(len(np.unique(label_map))),
    ]


def rows_of(case: Case, criteria: Sequence[str], as_written: bool) -> dict[str, list[float]]:
    """ARI, IoU, regions and milliseconds by criterion."""
    result, shape = case.result, case.truths[0].shape
    samples = case.samples
    if as_written:
        assert result is not None
        samples = labelmaps.at_centres(result.label_maps, shape)
    single = np.mean([scores(each, case.truths) for each in samples], axis=0)
    rows = {ONE: [*single.tolist(), 0.0]}
    for criterion in criteria:
        start = time.process_time()
        if result is not None and as_written:
            written = dataclasses.replace(result, criterion=criterion).label_map()
            label_map = labelmaps.at_centres(written, shape)
        else:
            appearance = None if result is None else result.appearance
            posterior = Posterior.from_maps(samples, appearance=appearance)
            label_map = posterior.consensus(criterion)
        elapsed = 1e3 * (time.process_time() - start)
        rows[criterion] = [*scores(label_map, case.truths), elapsed]
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="images with the maps of people, as of `bitdiff evaluate`")
    add("--predictions", help="files with several maps of each image")
    add("--checkpoint", help="weights by name, or the --workdir of a training")
    add("--num_samples", type=int, default=16, help="samples that the model draws (16)")
    add(
        "--preset", choices=sorted(presets.SETTINGS), help="settings of the model's sampler by name"
    )
    add("--guidance_weight", type=float, help="guidance of the model's samples (its own)")
    add("--temperature", type=float, help="factor of their noise (its own)")
    add("--size", type=int, default=128, help="longest side in pixels (128)")
    add("--num_images", type=int, default=100, help="images, at most (100)")
    add("--criteria", nargs="*", choices=(*CRITERIA, APPEARANCE), default=list(CRITERIA))
    add(
        "--mirrored", action="store_true", help="of a model: half of the samples of mirrored images"
    )
    add("--as_written", action="store_true", help="of a model: score what `bitdiff segment` writes")
    add("--json", type=pathlib.Path, help="file to write the table to")
    args = parser.parse_args(argv)
    if args.checkpoint is None and (
        args.as_written or args.mirrored or APPEARANCE in args.criteria
    ):
        parser.error("--as_written, --mirrored and the criterion 'appearance' are for --checkpoint")

    source = specs.open_source(args.data, image_size=args.size)
    few = (source, min(args.num_images, len(source)), args.size)
    if args.predictions is not None:
        cases = of_files(*few, args.predictions)
    elif args.checkpoint is not None:
        names = ("preset", "guidance_weight", "temperature")
        settings = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        cases = of_model(*few, args.checkpoint, args.num_samples, args.mirrored, **settings)
    else:
        cases = of_people(*few)
    by_image: dict[int, list[dict[str, list[float]]]] = {}
    for case in cases:
        by_image.setdefault(case.image, []).append(rows_of(case, args.criteria, args.as_written))
    values = {
        name: np.array([np.mean([row[name] for row in rows], axis=0) for rows in by_image.values()])
        for name in (ONE, *args.criteria)
    }
    print(f"{args.data}, {args.size} px: {len(by_image)} images")
    print(f"{'':12}{'ARI':>22}{'IoU':>22}{'ARI - medoid':>24}{'regions':>9}{'ms':>8}")
    table = {}
    for name, columns in values.items():
        cells = [estimates.bootstrap(columns[:, 0]), estimates.bootstrap(columns[:, 1])]
        if "medoid" in values:
            cells.append(estimates.bootstrap(columns[:, 0] - values["medoid"][:, 0]))
        texts = "".join(f"{f'{e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]':>23}" for e in cells)
        regions, milliseconds = columns[:, 2:].mean(axis=0)
        print(f"{name:11}{texts}{regions:9.1f}{milliseconds:8.1f}")
        keys = ("ari", "iou", "ari_minus_medoid")
        table[name] = {key: e._asdict() for key, e in zip(keys, cells, strict=False)}
        table[name] |= {"regions": regions, "milliseconds": milliseconds}
    if args.json is not None:
        about = {key: value for key, value in vars(args).items() if key != "json"}
        args.json.write_text(json.dumps({**about, "rows": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
