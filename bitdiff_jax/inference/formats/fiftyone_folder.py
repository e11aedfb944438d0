"""What FiftyOne imports as an `ImageSegmentationDirectory`: masks, and where their images are.

FiftyOne itself is not needed to write it.
"""

import dataclasses
import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.formats import subfolders
from bitdiff_jax.inference.formats.pngs import region_ids

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

_FOLDER, _LABELS, _IMAGES = "fiftyone", "labels", "data"
_ENDING = ".png"  # of masks, and of images that were read from no file
_EIGHT_BITS = 255


@dataclasses.dataclass(frozen=True)
class FiftyoneFormat:
    """fiftyone/labels/NAME.png of each image, and fiftyone/data.json, which names their files.

    Masks are of 8 bits, or 16 if there are more regions; 0 is the background. An image that was
    read from no file is written into fiftyone/data. The list goes from a mask's NAME.png to its
    image: the importer joins the two by their names without an ending, and a NAME without one would
    lose what follows its last dot.

    Attributes:
        suffixes: there are no files beside the folder.
        file: name of the list of files.
    """

    suffixes: tuple[str, ...] = ()
    file: str = f"{_FOLDER}/{_IMAGES}.json"

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `FolderFormat.__call__`.

        Raises:
            InputError: the place cannot be written, there are more regions than 16 bits hold, or
                the list of files is of another kind, or does not tell of a file that is there.
        """
        label_map = segmentation.label_map()
        ids = region_ids(label_map, 8 if label_map.max() <= _EIGHT_BITS else 16)
        known = self._read(folder)
        mask = files.make_folder(folder / _FOLDER / _LABELS, "folder") / f"{name}{_ENDING}"
        image = None
        if not segmentation.file:
            image = files.make_folder(folder / _FOLDER / _IMAGES, "folder") / f"{name}{_ENDING}"
        if name not in known:
            for path in (mask, image):
                if path is not None:
                    subfolders.check_free(path, self.file)
        # In this order: what a killed command leaves is told of.
        known[name] = _whole(segmentation.file) if image is None else _own(name)
        self._write(folder, known)
        outputs.save_png(mask, ids)
        if image is not None:
            outputs.save_png(image, segmentation.image)

    def forget(self, folder: epath.Path, names: Collection[str]) -> None:
        """As `FolderFormat.forget`; their masks are removed too."""
        known = self._read(folder)
        gone = known.keys() & set(names)
        own = [name for name in gone if known[name] == _own(name)]
        for part, told in ((_LABELS, gone), (_IMAGES, own)):
            subfolders.remove_files(folder / _FOLDER / part, [f"{name}{_ENDING}" for name in told])
        if gone:
            left = {name: file for name, file in known.items() if name not in gone}
            self._write(folder, left)
        subfolders.remove_if_empty(folder / _FOLDER)

    def _read(self, folder: epath.Path) -> dict[str, str]:
        path = folder / self.file
        if not path.exists():
            return {}
        known = files.read_json(path)
        if not isinstance(known, dict):
            raise InputError(
                f"{path}: is no list of files of `bitdiff segment`; name another folder, or move "
                "it away"
            )
        return {mask.removesuffix(_ENDING): file for mask, file in known.items()}

    def _write(self, folder: epath.Path, known: dict[str, str]) -> None:
        if known:
            listed = {f"{name}{_ENDING}": file for name, file in known.items()}
            files.write(folder / self.file, json.dumps(listed, indent=1).encode())
        else:
            files.remove(folder / self.file)


def _own(name: str) -> str:
    """The place of an image that was read from no file."""
    return f"{_IMAGES}/{name}{_ENDING}"


def _whole(file: str) -> str:
    return file if "://" in file else os.path.abspath(file)
