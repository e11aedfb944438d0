"""Regions as `supervision.Detections`."""

from typing import TYPE_CHECKING

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.formats import needed

if TYPE_CHECKING:
    import supervision

    from bitdiff_jax.inference.segmentation import Segmentation

# Of all masks: each is as large as the image.
_MAX_BYTES = 2**32


def to_supervision(
    segmentation: "Segmentation", sample: int | None = None
) -> "supervision.Detections":
    """The regions but the background as detections with masks.

    Args:
        segmentation: of one image.
        sample: whose regions, see `Segmentation.label_map`.

    Returns:
        One detection of each region, by ascending id: `xyxy` is its box, `mask` bool [n, h, w],
        `class_id` 0, `confidence` the mean agreement of the samples, or of a single one the mean
        certainty of the model; `data` holds 'region', its id, 'area', and of several samples
        'area_low' and 'area_high'.

    Raises:
        InputError: supervision is not installed, the masks would take more than 4 GiB, or there is
            no such sample.
    """
    package = needed.load("supervision", "to_supervision")
    label_map = segmentation.label_map(sample)
    if not (number := int(label_map.max())):
        return package.Detections.empty()
    height, width = segmentation.shape
    if (size := number * height * width) > _MAX_BYTES:
        raise InputError(
            f"to_supervision: {number} masks of {height} x {width} would take "
            f"{size / 2**30:.0f} GiB; draw fewer regions with a greater min_area, or save as "
            "coco_instances"
        )
    regions = segmentation.regions(sample)
    ids = np.array([region.id for region in regions])
    data = {"region": ids, "area": np.array([region.area for region in regions])}
    intervals = [each.area_interval for each in regions if each.area_interval is not None]
    if intervals:
        data["area_low"], data["area_high"] = np.array(intervals).T
    return package.Detections(
        xyxy=np.array([np.array(each.box)[[1, 0, 3, 2]] for each in regions], np.float64),
        mask=label_map[None] == ids[:, None, None],
        confidence=_confidence(segmentation, label_map, sample),
        class_id=np.zeros(number, int),
        data=data,
    )


def _confidence(
    segmentation: "Segmentation", label_map: np.ndarray, sample: int | None
) -> np.ndarray:
    values = segmentation.agreement
    if values is None:
        values = segmentation.confidence[0]
    total = np.bincount(label_map.ravel(), values.ravel())[1:]
    return total / np.bincount(label_map.ravel())[1:]
