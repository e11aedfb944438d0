"""Pictures with a folder of masks each: one file an instance."""

import os

import numpy as np
from etils import epath

from bitdiff_jax.data import file_names, images, zero_readings
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import listed, listing, other_layouts, overlaps
from bitdiff_jax.errors import InputError

_ASKED = 8  # pictures that are read to see whether `zero` must be said
_EXPECTED = "images/ID.jpg and masks/ID/*.png, or ID/images/ID.png and ID/masks/*.png"


class MasksReader(listed.ListedReader):
    """`images/ID.jpg` and `masks/ID/*.png`, or `ID/images/ID.png` and `ID/masks/*.png`.

    The second form is that of the Data Science Bowl 2018 (stage1_train.zip). Masks are grey files
    of a lossless form (PNG, TIFF, BMP, ...) and of the picture's size: what is brighter than half
    of the brightest value in a frame is inside, be that 1 or 255. Each frame of a stack is a mask.
    The masks of a picture are numbered from 1 in the order of their names; empty ones have a number
    and no pixels. An empty folder is a picture without objects.

    A folder of folders in one of these forms (`stage1_train`, `stage1_test`, or train and val) is a
    set with splits.
    """

    kind = "masks"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        zero: listed.Zero | None = None,
        order: overlaps.Order = "smaller",
    ):
        """Lists the pictures; which masks each has is looked up when it is read.

        Args:
            root: the folder.
            split: a subfolder that is in one of the forms; None for `root` itself, or for all of
                its splits if it has them, in which case names begin with 'SPLIT/'.
            zero: what pixels of no mask are: 'background', one region with id 0, as on a microscope
                slide; 'ignore' (not annotated); or 'region', one region with id 0 like the others.
                None is 'ignore' as long as they are few, by the first pictures; else it must be
                said.
            order: whose a pixel of several masks is: 'smaller' (the one of fewer pixels, so that
                what lies on a larger thing stays), 'later' or 'earlier' by name.

        Raises:
            InputError: another layout, an unknown split, a picture without its folder of masks.
        """
        if zero is not None:
            listed.check_zero(zero)
        listed.check_choice("order", order, overlaps.ORDERS)
        self.zero: listed.Zero = zero or "ignore"
        self.order = order
        known = self.splits(root)
        listed.check_split(root, split, known)
        base = epath.Path(root)
        if split is not None:
            base = base / split
        if split is None and known:
            items = [
                tuple(f"{each}/{part}" for part in item)
                for each in known
                for item in _list(base / each)
            ]
        elif _is_set(base):
            items = _list(base)
        else:
            raise InputError(
                f"{os.fspath(base)}: no pictures with masks; expected {_EXPECTED}"
                f"{other_layouts.hint(base, self.kind)}"
            )
        super().__init__(base, items, {"zero": self.zero, "order": order})
        if zero is None:
            self._ask()

    def _ask(self) -> None:
        """Asks what pixels of no mask are, where they are many."""

        def zero_where_uncovered(index: int) -> tuple[np.ndarray, ...]:
            return tuple(ids + 1 for ids in self[index]["labels"])

        zeros = zero_readings.measure(len(self), zero_where_uncovered, _ASKED)
        if zeros.share > zero_readings.SHARE:
            item = self[zeros.typical]
            raise zero_readings.question(
                self._base, zeros.share, item["labels"][0] + 1, item["image"]
            )

    @property
    def unlabelled(self) -> str:
        """What pixels without a region are taken for, and why."""
        if self.zero != "ignore":
            return f"pixels of no mask are {listed.of_zero(self.zero)}"
        return (
            "pixels of no mask are taken for not annotated and ignored; zero=background keeps them"
        )

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The subfolders in one of the forms; () if `root` itself is."""
        folder = epath.Path(root)
        if not folder.is_dir():
            raise InputError(f"{os.fspath(root)}: no such folder; expected {_EXPECTED}")
        if _is_set(folder):
            return ()
        return tuple(path.name for path in listing.entries(folder) if _is_set(path))

    def _read(self, *paths: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        image_path, folder = paths
        image_path = _image(image_path)
        image = images.read_image(image_path)
        if not epath.Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder; add it, empty if there are no objects")
        masks: list[tuple[int, np.ndarray]] = []
        for path in _mask_files(epath.Path(folder)):
            for inside in read_masks(os.fspath(path)):
                listed.check_size(image, image_path, inside, os.fspath(path))
                masks.append((len(masks) + 1, _runs(inside)))
        uncovered = IGNORE if self.zero == "ignore" else 0
        height, width = image.shape[:2]
        return image, (overlaps.paint(masks, height, width, order=self.order, uncovered=uncovered),)


def _image(path: str) -> str:
    """The file of a picture, whose ending may be another than that of the set's own pictures."""
    file = epath.Path(path)
    if not file.exists():
        for name, other in listing.pictures(file.parent).items():
            if file_names.same(name) == file_names.same(file.stem):
                return os.fspath(file.parent / other)
    return path


def _mask_files(folder: epath.Path) -> list[epath.Path]:
    """The files of a folder of masks; `InputError` if it holds only what is not read."""
    found = listing.label_files(folder, images.MASK_SUFFIXES)
    for path in listing.entries(folder):
        if path.is_dir():
            raise InputError(f"{path}: is a folder; masks lie in {folder} itself: move them up")
        if not found:
            raise InputError(
                f"{path}: is no mask, and {folder} holds none; write masks as PNG, or leave the "
                "folder empty if there are no objects"
            )
    return found


def read_masks(path: str) -> list[np.ndarray]:
    """The masks in a file, bool [h, w] of each frame."""
    frames = images.read_label_frames(path, grey_palette=True)
    for number, values in enumerate(frames):
        found = np.unique(values)
        if len(frames) > 1 and len(found) > 2:
            raise InputError(
                f"{path}: frame {number} of {len(frames)} has {len(found)} different values; each "
                "frame of a stack is the mask of one object, of two values at most"
            )
        # Soft edges have gaps among their values, or all that a byte has.
        if 2 < len(found) < 128 and np.array_equal(found, np.arange(len(found))):
            raise InputError(
                f"{path}: its values 0 to {found[-1]} look like ids of {found[-1]} regions, and a "
                "mask is one object; use the kind 'folder' for files of ids, or write a file for "
                "each object"
            )
    # By the frame: programs write object k of a stack as the number k, too.
    return [values > int(values.max()) / 2 for values in frames]


def _runs(inside: np.ndarray) -> np.ndarray:
    """Begin and length of each run of True, by columns: int [n, 2], as `paint` takes them."""
    edges = np.diff(inside.T.ravel().astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return np.stack([begins, ends - begins], axis=1)


def _is_item(folder: epath.Path) -> bool:
    """ID/images and ID/masks with files in it, not folders."""
    return (folder / "images").is_dir() and not _of_folders(folder / "masks")


def _of_folders(folder: epath.Path) -> bool:
    return folder.is_dir() and any(path.is_dir() for path in listing.entries(folder))


def _is_set(folder: epath.Path) -> bool:
    """In one of the two forms, judged by one picture."""
    if (folder / "images").is_dir():
        return _of_folders(folder / "masks")
    first = next((path for path in listing.entries(folder) if path.is_dir()), None)
    return first is not None and (first / "masks").is_dir() and _is_item(first)


def _list(folder: epath.Path) -> list[listed.Item]:
    if not (folder / "images").is_dir():
        # Whether each has its picture and masks is left for when it is read.
        names = [path.name for path in listing.entries(folder) if path.is_dir()]
        return [(name, f"{name}/images/{name}.png", f"{name}/masks") for name in names]
    pictures = listing.pictures(folder / "images")
    masks = file_names.NameTable(path.name for path in listing.entries(folder / "masks"))
    listed.require_all(pictures, masks, folder / "masks", "{}/")
    return [
        (name, f"images/{file}", f"masks/{masks.find(name)}") for name, file in pictures.items()
    ]
