"""COCO instances: one JSON file of all images, with a mask in run lengths for each region."""

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from etils import epath

from bitdiff_jax.inference.formats import coco_file
from bitdiff_jax.inference.formats.run_length import run_lengths

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation


def annotations(segmentation: "Segmentation", sample: int | None = None) -> list[dict[str, Any]]:
    """The regions as COCO annotations, without 'image_id'.

    Args:
        segmentation: of one image.
        sample: whose regions, see `Segmentation.label_map`.

    Returns:
        One of each region but the background; 'segmentation' is a mask in packed run lengths, 'id'
        the region's id, and 'score' the mean agreement of the samples, if there are several.

    Raises:
        InputError: there is no such sample.
    """
    masks = run_lengths(segmentation.label_map(sample))
    size = list(segmentation.shape)
    return [
        {
            "id": region.id,
            "category_id": coco_file.CATEGORY,
            "segmentation": {"size": size, "counts": masks[region.id]},
            **coco_file.measured(region),
        }
        for region in segmentation.regions(sample)
    ]


@dataclasses.dataclass(frozen=True)
class CocoInstancesFormat:
    """coco_instances.json of all images of the folder.

    Attributes:
        suffixes: there are no files of single images.
        file: name of the JSON file.
    """

    suffixes: tuple[str, ...] = ()
    file: str = "coco_instances.json"

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `FolderFormat.__call__`.

        Raises:
            InputError: the place cannot be written, or the file is of another kind.
        """
        record = coco_file.image_record(segmentation, name)
        coco_file.add(folder / self.file, name, record, annotations(segmentation))

    def forget(self, folder: epath.Path, names: Collection[str]) -> None:
        """As `FolderFormat.forget`."""
        coco_file.remove(folder / self.file, names)
