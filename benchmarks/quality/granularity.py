"""Does a model draw as many regions as it is asked for, and does that bring its maps to people's?

For a model that was trained with the prompt 'granularity'. Each image is drawn at several numbers
of regions: reported is, over images, the rank correlation (Spearman) of the number that was asked
with the number of regions that came. Then it is drawn at the number of regions of one annotator's
map, and the adjusted Rand index against this map is compared with that of a plain sample of the
same seed. Means with 95 % intervals over images; differences are paired.

    python -m benchmarks.quality.granularity --checkpoint runs/prompted \
        --data bsds500:BSDS500,split=val --num_images 50
"""

import argparse
import json
import pathlib
from collections.abc import Sequence

import numpy as np
from scipy import stats

from benchmarks.quality.constraints import ari
from bitdiff_jax.data import specs
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Constraints, Request, Segmenter

DIAL = (2, 4, 8, 16, 32)


def num_regions(label_map: np.ndarray) -> int:
    """Regions of a map, without what is ignored."""
    return len(np.unique(label_map[label_map >= 0]))


def row_of(
    segmenter: Segmenter,
    image: np.ndarray,
    truth: np.ndarray,
    request: Request,
    prompt_weight: float,
    name: str,
) -> dict[str, float | list[float]]:
    """The figures of one image.

    Args:
        segmenter: a model with the prompt.
        image: uint8 [h, w, 3].
        truth: int32 [h, w], the map of one annotator, negative = ignore.
        request: how many samples, and from which seed.
        prompt_weight: of the guidance by the number.
        name: of the image.
    """
    canvas = segmenter.canvas(image, name=name)

    def drawn(number: float | None) -> np.ndarray:
        told = Constraints(granularity=number, prompt_weight=prompt_weight)
        return canvas.draw(segmenter.sampler, request, told).label_maps

    counts = [float(np.mean([num_regions(each) for each in drawn(number)])) for number in DIAL]
    own = num_regions(truth)
    most = segmenter.model.encoding.num_codes - segmenter.model.palette.background
    plain, asked = drawn(None), drawn(min(own, most))
    found, known = {"plain": plain, "asked": asked}, truth >= 0
    return {
        "counts": counts,
        "rank": float(stats.spearmanr(DIAL, counts).statistic),
        "own": float(own),
        **{f"ari {k}": float(np.mean([ari(m, truth, known) for m in v])) for k, v in found.items()},
        **{f"regions {k}": float(np.mean([num_regions(m) for m in v])) for k, v in found.items()},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, draws, prints the table, writes the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="images with the maps of people, as of `bitdiff evaluate`")
    add("--checkpoint", required=True, help="weights by name, or the --workdir of a training")
    add("--num_images", type=int, default=50, help="images, at most (50)")
    add("--num_samples", type=int, default=1, help="samples at each number (1)")
    add("--prompt_weight", type=float, default=1.0, help="of the guidance by the number (1)")
    add("--json", type=pathlib.Path, help="file to write the rows to")
    args = parser.parse_args(argv)

    segmenter = Segmenter.from_pretrained(args.checkpoint)
    source = specs.open_source(args.data, image_size=0)
    request = Request(args.num_samples, batch_size=args.num_samples, edges="nearest")
    rows = []
    for i in range(min(args.num_images, len(source))):
        example = source[i]
        truth = np.asarray(example["labels"][i % len(example["labels"])], np.int32)
        name = example["name"]
        rows.append(row_of(segmenter, example["image"], truth, request, args.prompt_weight, name))
    ranks = np.array([row["rank"] for row in rows])
    counts = np.array([row["counts"] for row in rows])
    asked, plain = (np.array([row[f"ari {key}"] for row in rows]) for key in ("asked", "plain"))
    print(f"{len(rows)} images, {args.num_samples} samples, prompt weight {args.prompt_weight:g}")
    for number, count in zip(DIAL, counts.T, strict=True):
        print(f"    asked for {number:3}: {count.mean():5.1f} regions")
    print(f"    rank correlation at least .9 in {np.mean(ranks >= 0.9):.0%} of the images")
    for name, values in (
        ("rank correlation", ranks),
        ("ARI, plain", plain),
        ("ARI, at the annotator's number", asked),
        ("gain", asked - plain),
    ):
        estimate = estimates.bootstrap(values[np.isfinite(values)])
        print(f"    {name:30} {estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]")
    if args.json is not None:
        about = {key: value for key, value in vars(args).items() if key != "json"}
        args.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
