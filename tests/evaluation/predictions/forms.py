"""Files as the tools write them: documented forms, written with pycocotools and Pillow."""

import csv
import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

H, W = 24, 31


def masks(seed, count=6):
    """Rectangles that overlap, the first one empty and the second the whole picture but a row."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, H, W), bool)
    found[1, 1:] = True
    for mask in found[2:]:
        y, x = rng.integers(0, H - 8), rng.integers(0, W - 8)
        mask[y : y + rng.integers(4, 12), x : x + rng.integers(4, 12)] = True
    return found, np.round(rng.uniform(0.05, 1, count), 4).tolist()


def packed(mask):
    """As pycocotools encodes it and detectron2 decodes the bytes."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(map(int, rle["size"])), "counts": rle["counts"].decode("utf-8")}


def unpacked(mask):
    """Counts as numbers: COCO's crowds, and SAM's output_mode 'uncompressed_rle'."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def result(image_id, mask, score, encode=packed):
    """A record of detectron2's instances_to_coco_json."""
    box = [0.0, 0.0, 5.0, 5.0]
    return {
        "image_id": image_id,
        "category_id": 18,
        "bbox": box,
        "score": score,
        "segmentation": encode(mask),
    }


def sam_record(mask, score, encode=packed):
    """A record of SamAutomaticMaskGenerator.generate."""
    return {
        "segmentation": encode(mask),
        "area": int(mask.sum()),
        "bbox": [0, 0, 5, 5],
        "predicted_iou": score,
        "point_coords": [[1.5, 2.5]],
        "stability_score": 0.97,
        "crop_box": [0, 0, W, H],
    }


def amg_folder(folder, found, scores):
    """What amg.py writes without --convert-to-rle."""
    folder.mkdir(parents=True)
    head = "id,area,bbox_x0,bbox_y0,bbox_w,bbox_h,point_input_x,point_input_y,predicted_iou,"
    head += "stability_score,crop_box_x0,crop_box_y0,crop_box_w,crop_box_h"
    with (folder / "metadata.csv").open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head.split(","))
        for i, (mask, score) in enumerate(zip(found, scores, strict=True)):
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{i}.png")
            writer.writerow([i, mask.sum(), 0, 0, 5, 5, 1.5, 2.5, score, 0.97, 0, 0, W, H])


def id2rgb(ids):
    """As panopticapi writes ids."""
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def same_partition(a, b):
    """Whether two maps are one partition, and -1 is -1 in both."""
    pairs = {tuple(pair) for pair in np.stack([a.ravel(), b.ravel()], 1).tolist()}
    return (
        len(pairs) == len({p for p, _ in pairs}) == len({q for _, q in pairs})
        and all((p == -1) == (q == -1) for p, q in pairs)
    )  # fmt: skip
