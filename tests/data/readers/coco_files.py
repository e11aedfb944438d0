"""Writes small data sets in COCO's forms, and paints masks in the plainest way."""

import json
import pathlib

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask


def image(path: pathlib.Path, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Writes a PNG under whatever name, so that the pixels come back as they were."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")
    return pixels


def packed(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def listed(mask: np.ndarray) -> dict:
    """Uncompressed RLE, pixel by pixel."""
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def paint(masks, uncovered: int = -1) -> np.ndarray:
    """(id, mask) one over the other, a pixel at a time by numpy's own indexing."""
    result = np.full(masks[0][1].shape, uncovered, np.int32)
    for region, mask in masks:
        result[mask.astype(bool)] = region
    return result


def write(path: pathlib.Path, images: list[dict], annotations: list[dict], **more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"info": {"year": 2017}, "licenses": [], "images": images}
    whole |= {"annotations": annotations, "categories": [{"id": 1, "name": "thing"}]} | more
    path.write_text(json.dumps(whole))
