"""COCO panoptic: every pixel's segment as a colour PNG, and a JSON that lists the segments.

    ROOT/annotations/panoptic_train2017.json, panoptic_val2017.json
    ROOT/panoptic_train2017/*.png       or ROOT/annotations/panoptic_train2017/
    ROOT/train2017/*.jpg                or ROOT/images/train2017/

A pixel's segment is R + 256 G + 65536 B; 0 is void.
"""

import os
from typing import Any, Literal

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import images as images_lib
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import coco_items, coco_json, json_values, listed
from bitdiff_jax.errors import InputError

_VOID = 0


class CocoPanopticReader(coco_items.CocoReader):
    """Random access to COCO panoptic; ids of regions are those of the segments."""

    kind = "coco_panoptic"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        zero: listed.Zero = "ignore",
        crowd: Literal["ignore", "region"] = "ignore",
        year: str | int = "2017",
        images: str | None = None,
        pngs: str | None = None,
    ):
        """Reads the annotation files.

        Args:
            root: the folder.
            split: 'train' or 'val'; None for all pictures.
            zero: what void is: 'ignore' (-1) or one 'region', with id 0, or such a 'background'.
            crowd: what a group of things is that were not told apart (`iscrowd`): 'ignore' or a
                'region' like others.
            year: what follows the split in names of files and folders.
            images: the folder of the pictures, if it is elsewhere; for one split.
            pngs: the folder of the maps, if it is elsewhere; for one split.

        Raises:
            InputError: files or folders are missing, an annotation file is not as it should be, an
                unknown split or option.
        """
        listed.check_zero(zero)
        listed.check_choice("crowd", crowd, ("ignore", "region"))
        self._zero: listed.Zero = zero
        self._crowd = crowd
        root = epath.Path(root)
        files = coco_items.annotation_files(root, "panoptic", split, str(year))
        indices = [coco_json.Index(path, "segments_info") for path in files.values()]
        options = {"zero": zero, "crowd": crowd, "year": year}
        super().__init__(split, indices, options)
        if len(files) > 1 and (images or pngs):
            raise InputError(
                f"{root}: images= and pngs= are of one split; name it, as in split=val"
            )
        self._images = [
            _named("images", images) or coco_items.image_folder(root, f"{part}{year}")
            for part in files
        ]
        self._maps = [
            _named("pngs", pngs) or _map_folder(root, f"panoptic_{part}{year}") for part in files
        ]

    @classmethod
    def splits(cls, root: os.PathLike | str, year: str | int = "2017") -> tuple[str, ...]:
        """The splits whose annotation file is there; `InputError` if there is none."""
        return coco_items.splits(root, "panoptic", str(year))

    @property
    def unlabelled(self) -> str:
        """What pixels without a region were taken for, and why."""
        void = f"is {listed.of_zero(self._zero)}"
        crowd = "regions, as asked for" if self._crowd == "region" else "ignored"
        return f"void (id 0) {void}; crowds, whose members were not told apart, are {crowd}"

    def _image(self, part: int, name: str) -> epath.Path:
        return epath.Path(self._images[part]) / name

    def _labels(
        self, part: int, annotations: list[dict[str, Any]], height: int, width: int, name: str
    ) -> np.ndarray:
        source = self._indices[part].path
        if len(annotations) != 1:
            raise InputError(
                f"{source}: {name} has {len(annotations)} annotations instead of one; remove it"
            )
        map_name, segments = _segments(annotations[0], f"{source}: {name}")
        path = epath.Path(self._maps[part]) / map_name
        ids = read_segment_ids(path)
        if ids.shape != (height, width):
            raise InputError(
                f"{path}: is {ids.shape[1]}x{ids.shape[0]}, its picture is {width}x{height}; "
                "get the maps that go with the pictures"
            )
        # Neighbours are mostly alike: what begins a run says what is there.
        flat = ids.ravel()
        present = np.unique(flat[np.flatnonzero(np.diff(flat, prepend=-1))]).tolist()
        unknown = [segment for segment in present if segment not in segments and segment != _VOID]
        if unknown:
            raise InputError(
                f"{path}: has segment {unknown[0]}, which {source} does not list; get the maps and "
                "the annotation file from one archive"
            )
        ignored = [each for each in present if self._crowd == "ignore" and segments.get(each)]
        if self._zero == "ignore":
            ignored.append(_VOID)
        return np.where(np.isin(ids, ignored), IGNORE, ids) if ignored else ids


def read_segment_ids(path: os.PathLike | str) -> np.ndarray:
    """Reads R + 256 G + 65536 B of each pixel.

    Args:
        path: a PNG of 8-bit RGB, or another file that `images.read_colour_codes` reads.

    Returns:
        int32 [h, w], in 0..2^24-1.

    Raises:
        InputError: as `images.read_colour_codes` of `data`.
    """
    colours = images_lib.read_colour_codes(path).astype(np.int32)
    return colours[..., 0] | colours[..., 1] << 8 | colours[..., 2] << 16


def _segments(annotation: dict[str, Any], where: str) -> tuple[str, dict[int, bool]]:
    """The map's file name, and of each segment whether it is a crowd."""
    name = json_values.file_name(annotation.get("file_name"), f"{where}: the map's file_name")
    segments = {
        segment: json_values.flag(each.get("iscrowd"), f"{place}.iscrowd")
        for segment, each, place in json_values.segments(annotation, where)
    }
    return name, segments


def _map_folder(root: epath.Path, name: str) -> str:
    places = [root / name, root / "annotations" / name]
    return os.fspath(coco_items.folder(places, f"unpack annotations/{name}.zip there"))


def _named(option: str, path: str | None) -> str | None:
    """The folder that an option names, if it does."""
    if path is None:
        return None
    path = files.at_home(path)
    if not epath.Path(path).is_dir():
        raise InputError(f"{path}: no such folder; check {option}=")
    return path
