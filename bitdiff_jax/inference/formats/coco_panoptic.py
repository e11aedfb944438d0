"""COCO panoptic: a PNG of segment ids for each image, and one JSON file that describes them all."""

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.formats import coco_file, subfolders
from bitdiff_jax.inference.formats.label_maps import check_label_map

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

_MAX_ID = 2**24 - 1
_FOLDER = "coco_panoptic"  # of the PNGs; that it is the JSON file's name is what readers expect


def segment_colours(label_map: np.ndarray) -> np.ndarray:
    """Ids as colours, uint8 [h, w, 3]: R + 256 G + 65536 B is the id.

    Args:
        label_map: integers [h, w] in 0..2^24 - 1; 0 is void.

    Raises:
        InputError: an id is beyond 24 bits, or it is no label map.
    """
    check_label_map(label_map)
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high > _MAX_ID:
        raise InputError(
            f"label_map: ids from {low} to {high} do not fit 24 bits (0..{_MAX_ID}); renumber them"
        )
    return np.stack([label_map >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class CocoPanopticFormat:
    """coco_panoptic/NAME.png of each image, and coco_panoptic.json of all.

    The background is void, as in COCO. `score` is the mean agreement of the samples, if there are
    several.

    Attributes:
        suffixes: there are no files beside the folder.
        file: name of the JSON file.
    """

    suffixes: tuple[str, ...] = ()
    file: str = f"{_FOLDER}.json"

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `FolderFormat.__call__`.

        Raises:
            InputError: the place cannot be written, the JSON file is of another kind, or does not
                tell of a PNG that is there.
        """
        colours = segment_colours(segmentation.label_map())
        png = files.make_folder(folder / _FOLDER, "folder") / f"{name}.png"
        if name not in coco_file.names(folder / self.file):
            subfolders.check_free(png, self.file)
        segments = [
            {"id": region.id, "category_id": coco_file.CATEGORY, **coco_file.measured(region)}
            for region in segmentation.regions()
        ]
        annotation = {"file_name": png.name, "segments_info": segments}
        record = coco_file.image_record(segmentation, name)
        # In this order: what a killed command leaves is told of.
        coco_file.add(folder / self.file, name, record, [annotation])
        outputs.save_png(png, colours)

    def forget(self, folder: epath.Path, names: Collection[str]) -> None:
        """As `FolderFormat.forget`."""
        told = coco_file.names(folder / self.file) & set(names)
        subfolders.remove_files(folder / _FOLDER, [f"{name}.png" for name in told])
        coco_file.remove(folder / self.file, told)
