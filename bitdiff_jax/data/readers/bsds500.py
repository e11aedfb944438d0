"""BSDS500 as its authors ship it: pictures, and every person's segmentation of them as MATLAB."""

import os
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import listed, listing, matlab
from bitdiff_jax.errors import InputError

_SPLITS = ("train", "val", "test")
_EXPECTED = "BSR/BSDS500/data with images/{train,val,test}/ID.jpg, groundTruth/SPLIT/ID.mat"
# Sixteen times what the largest file of the set inflates to.
_MAX_INFLATED = 1 << 26


class BSDS500Reader(listed.ListedReader):
    """`BSR/BSDS500/data/images/SPLIT/ID.jpg` and `groundTruth/SPLIT/ID.mat`.

    Each .mat file has a cell array `groundTruth` of one struct a person, whose `Segmentation` is a
    map of ids from 1; 'labels' has the maps of all of them, in that order (4 to 9 in the original).
    Names are the IDs; no split is all three, one after the other.
    """

    kind = "bsds500"
    unlabelled = "every pixel is in a region; id 0, which the set does not use, would be ignored"

    def __init__(self, root: os.PathLike | str, split: str | None = None):
        """Lists the folders.

        Args:
            root: BSR, BSDS500, data, or the folder that BSR is in.
            split: 'train', 'val' or 'test'; None for all.

        Raises:
            InputError: another layout, an unknown split, a picture without its .mat file.
        """
        base = _base(root)
        known = self.splits(root)
        listed.check_split(root, split, known)
        items = []
        for each in known if split is None else (split,):
            pictures = listing.pictures(base / "images" / each)
            truth = base / "groundTruth" / each
            maps = file_names.NameTable(listing.by_ending(truth, "", {".mat"}))
            listed.require_all(pictures, maps, truth, "{}.mat")
            items += [
                (name, f"images/{each}/{file}", f"groundTruth/{each}/{maps.find(name)}.mat")
                for name, file in pictures.items()
            ]
        super().__init__(base, items, {})

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """Those of train, val and test that exist."""
        folder = _base(root) / "images"
        return tuple(each for each in _SPLITS if (folder / each).is_dir())

    def _read(self, *paths: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        image_path, truth_path = paths
        image = images.read_image(image_path)
        maps = read_segmentations(truth_path)
        for ids in maps:
            listed.check_size(image, image_path, ids, truth_path)
        return image, maps


def _base(root: os.PathLike | str) -> epath.Path:
    candidates = ("", "data", "BSDS500/data", "BSR/BSDS500/data")
    return listed.find_base(
        root, candidates, ("images", "groundTruth"), _EXPECTED, BSDS500Reader.kind
    )


def read_segmentations(path: os.PathLike | str) -> tuple[np.ndarray, ...]:
    """Everybody's map in a BSDS500 ground truth file.

    Args:
        path: a MATLAB 5 file with the cell array `groundTruth` of structs with `Segmentation`.

    Returns:
        int32 [h, w] of each person, ids as stored, 0 = ignore (-1).

    Raises:
        InputError: no such file, a damaged one, or another content.
    """
    data = files.read_bytes(path)
    try:
        annotators = matlab.variable(data, "groundTruth", _MAX_INFLATED)
    except ValueError as error:
        raise InputError(
            f"{path}: not a MATLAB 5 file, or a damaged one ({error}); copy or download it again"
        ) from None
    if not isinstance(annotators, list) or not annotators:
        raise InputError(f"{path}: has no cell array groundTruth; use the authors' files")
    return tuple(_segmentation(annotator, k, path) for k, annotator in enumerate(annotators))


def _segmentation(annotator: Any, number: int, path: os.PathLike | str) -> np.ndarray:
    fields = annotator[0] if isinstance(annotator, list) and len(annotator) == 1 else None
    if not isinstance(fields, dict) or "Segmentation" not in fields:
        raise InputError(f"{path}: person {number} has no Segmentation; use the authors' files")
    what = f"{path}: the Segmentation of person {number}"
    ids = fields["Segmentation"]
    if not isinstance(ids, np.ndarray) or ids.ndim != 2 or not ids.size:
        raise InputError(f"{what} is not a map")
    if not ((ids >= 0) & (ids < 2**31)).all() or (ids.dtype.kind == "f" and (ids % 1).any()):
        raise InputError(f"{what} has other ids than whole numbers in 0..2^31-1")
    ids = np.ascontiguousarray(ids.astype(np.int32))
    return np.where(ids == 0, np.int32(IGNORE), ids)
