"""What a model draws beside what is imposed, held against the person whose map the prompt is of.

Of one annotator's map of each image, something is told to the model: one region (`region`), three
regions (`regions`), a disc within one region and one in each of two regions beside it (`discs`), or
pairs of points that lie together or apart (`pairs`). Reported is, as means over images with 95 %
intervals, paired by image: the adjusted Rand index on the pixels that are not imposed, of samples
with the prompt, of as many plain samples, and of the best of these; and for `discs` the IoU of the
region in which the first disc lies.

    python -m benchmarks.quality.constraints --rows constraints.jsonl \
        --data bsds500:BSDS500,split=val --num_images 20

Rows are appended as they are finished, and what is there is not drawn again. An image takes a
minute of processor time with prompts of weight 1, and six seconds with those of weight 0.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from benchmarks.quality import json_rows
from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.diffusion import presets
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Constraints, Request, Segmenter

MIN_SHARE = 0.01  # of the image that a region which is told covers
DISC = 0.02  # radius of a disc, of the longest side
NUM_PAIRS = 6


class Prompt(NamedTuple):
    """What is told of an image."""

    constraints: Constraints
    imposed: np.ndarray  # bool [h, w], pixels that are not scored
    region: np.ndarray | None = None  # bool [h, w], the region that is clicked
    click: tuple[int, int] = (0, 0)  # a pixel of it


def of_regions(truth: np.ndarray, rng: np.random.Generator, count: int) -> Prompt | None:
    """Whole regions; None if the map has fewer, or nothing beside them."""
    ids, areas = np.unique(truth, return_counts=True)
    large = ids[areas >= MIN_SHARE * truth.size]
    if len(large) <= count:
        return None
    keep = np.where(np.isin(truth, rng.choice(large, count, replace=False)), truth, -1)
    return Prompt(Constraints(keep), keep >= 0)


def of_discs(truth: np.ndarray, rng: np.random.Generator) -> Prompt | None:
    """Discs in one region and in two beside it."""
    ids, areas = np.unique(truth, return_counts=True)
    large = ids[areas >= MIN_SHARE * truth.size]
    if len(large) < 3:
        return None
    chosen = rng.choice(large)
    near = ndimage.binary_dilation(truth == chosen, iterations=5)
    beside = [i for i in np.unique(truth[near]) if i != chosen and i in large][:2]
    keep = np.full_like(truth, -1)
    rows, columns = np.indices(truth.shape)
    centres = []
    for each in (chosen, *beside):
        depth = ndimage.distance_transform_edt(np.pad(truth == each, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        centres.append((int(row), int(column)))
        distance = np.hypot(rows - row, columns - column)
        keep[(distance <= DISC * max(truth.shape)) & (truth == each)] = each
    return Prompt(Constraints(keep), keep >= 0, truth == chosen, centres[0])


def of_pairs(truth: np.ndarray, rng: np.random.Generator) -> Prompt:
    """Pairs of points, as many together as apart where the map has both."""
    pairs: dict[str, list[Any]] = {"same": [], "different": []}
    for _ in range(200):
        p, q = rng.integers(0, truth.shape, (2, 2))
        name = "same" if truth[tuple(p)] == truth[tuple(q)] else "different"
        far = np.abs(p - q).max() > 0.1 * max(truth.shape)
        if far and len(pairs[name]) < NUM_PAIRS // 2:
            pairs[name].append((p, q))
    imposed = np.zeros(truth.shape, bool)
    for pair in (*pairs["same"], *pairs["different"]):
        imposed[tuple(np.transpose(pair))] = True
    return Prompt(Constraints(**pairs), imposed)


PROMPTS: dict[str, Callable[[np.ndarray, np.random.Generator], Prompt | None]] = {
    "region": lambda truth, rng: of_regions(truth, rng, 1),
    "regions": lambda truth, rng: of_regions(truth, rng, 3),
    "discs": of_discs,
    "pairs": of_pairs,
}


def ari(label_map: np.ndarray, truth: np.ndarray, free: np.ndarray) -> float:
    """Adjusted Rand index on free pixels."""
    found, wanted = (labelmaps.renumber(each[free])[1][None] for each in (label_map, truth))
    return float(metrics.adjusted_rand_index_from_table(contingency(found, wanted)))


def iou(label_map: np.ndarray, prompt: Prompt) -> float:
    """IoU of the clicked region."""
    found = label_map == label_map[prompt.click]
    return float((found & prompt.region).sum() / (found | prompt.region).sum())


def scores(maps: np.ndarray, truth: np.ndarray, prompt: Prompt) -> dict[str, np.ndarray]:
    """ARI off the prompt and IoU of the click, float [n] each."""
    found = {"ari": np.array([ari(each, truth, ~prompt.imposed) for each in maps])}
    if prompt.region is not None:
        found["iou"] = np.array([iou(each, prompt) for each in maps])
    return found


def row(plain: dict[str, np.ndarray], told: dict[str, np.ndarray]) -> dict[str, float]:
    """The metrics of one image."""
    found = {}
    for name, values in told.items():
        found[name] = values.mean()
        found[f"{name}, plain"] = plain[name].mean()
        found[f"{name}, best plain"] = plain[name].max()
        found[f"{name}, gain"] = found[name] - found[f"{name}, plain"]
        found[f"{name}, over best"] = found[name] - found[f"{name}, best plain"]
    return found


def draw_rows(args: argparse.Namespace) -> None:
    """Draws what the rows lack, and appends it."""
    done = {(each["image"], each["prompt"], each["weight"]) for each in json_rows.read(args.rows)}
    segmenter = Segmenter.from_pretrained(args.checkpoint)
    source = specs.open_source(args.data, image_size=0)
    sampler = segmenter.sampler.override(temperature=args.temperature)
    if args.preset is not None:
        sampler = presets.applied(args.preset, sampler)
    request = Request(args.num_samples, batch_size=args.num_samples, edges="nearest")
    for i in range(min(args.num_images, len(source))):
        lacking = [
            (name, weight) for weight in args.prompt_weight for name in args.prompts
            if (i, name, weight) not in done
        ]  # fmt: skip
        if not lacking:
            continue
        example = source[i]
        truth = example["labels"][i % len(example["labels"])].astype(np.int32)
        canvas = segmenter.canvas(example["image"], name=example["name"])
        plain = canvas.draw(sampler, request).label_maps
        for name, weight in lacking:
            prompt = PROMPTS[name](truth, np.random.default_rng(i))
            metrics_of: dict[str, float] = {}
            if prompt is not None:
                known = dataclasses.replace(prompt.constraints, prompt_weight=weight)
                told = canvas.draw(sampler, request, known).label_maps
                metrics_of = row(scores(plain, truth, prompt), scores(told, truth, prompt))
            about = {"image": i, "prompt": name, "weight": weight}
            with args.rows.open("a") as file:
                file.write(json.dumps({**about, **metrics_of}) + "\n")


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Means over the images that have a prompt, with their intervals."""
    for name, weight in dict.fromkeys((each["prompt"], each["weight"]) for each in rows):
        found = [each for each in rows if (each["prompt"], each["weight"]) == (name, weight)]
        found = [each for each in found if "ari" in each]
        print(f"{name}, prompt weight {weight:g}: {len(found)} images")
        for key in [key for key in found[0] if key not in ("image", "prompt", "weight")]:
            estimate = estimates.bootstrap(np.array([each[key] for each in found]))
            print(f"    {key:18} {estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]")


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, draws what is missing, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--rows", type=pathlib.Path, required=True, help="file of JSON lines, appended to")
    add("--data", help="images with the maps of people, as of `bitdiff evaluate`; none: the table")
    add("--checkpoint", default="photos", help="weights by name, or the --workdir of a training")
    add("--num_images", type=int, default=20, help="images, at most (20)")
    add("--num_samples", type=int, default=4, help="samples with a prompt, and without (4)")
    add("--preset", choices=sorted(presets.SETTINGS), help="settings of the sampler by name")
    add("--temperature", type=float, help="factor of the sampler's noise (the checkpoint's)")
    add("--prompt_weight", type=float, nargs="*", default=[0.0, 1.0], help="of the prompts (0 1)")
    add("--prompts", nargs="*", choices=PROMPTS, default=list(PROMPTS))
    args = parser.parse_args(argv)
    if args.data is not None:
        draw_rows(args)
    print_table(json_rows.read(args.rows))


if __name__ == "__main__":
    main()
