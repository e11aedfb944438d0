"""EntitySeg (Adobe; Qi et al., ICCV 2023), low resolution: every pixel's entity, as COCO RLE.

    ROOT/entityseg_train_lr.json, ROOT/entityseg_val_lr.json     or in ROOT/annotations/
    ROOT/entity_01_11580/*.jpg, ROOT/entity_02_11598/*, ...      or in ROOT/images_lr/ or images/

Splits 'train', 'val' and 'test' are those of arXiv 2601.02881, name for name, whose test holds all
of the authors' own validation pictures; 'native_train' and 'native_val' are the authors' own.
"""

import os
import random
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.readers import coco_items, coco_json, listed, other_layouts, overlaps, runs
from bitdiff_jax.errors import InputError

_FILES: Final = {"train": "entityseg_train_lr.json", "val": "entityseg_val_lr.json"}
_NATIVE: Final = {"native_train": "train", "native_val": "val"}
_PAPER: Final = ("train", "val", "test")
_IMAGE_FOLDERS: Final = (".", "images_lr", "images")
_MOST_RELEASED: Final = 255
_LAYOUT: Final = "expected ROOT/entityseg_{train,val}_lr.json and folders ROOT/entity_0*"


class EntitySegReader(coco_items.CocoReader):
    """Random access to EntitySeg; region k is the k-th annotation of the picture, from 1."""

    kind = "entityseg"
    _other_size = "the _lr annotations go with the pictures of low resolution"

    def __init__(
        self,
        root: os.PathLike | str,
        split: str | None = None,
        *,
        order: overlaps.Order = "later",
        zero: listed.Zero | None = None,
        as_released: int = 0,
    ):
        """Reads the annotation files.

        Args:
            root: the folder.
            split: 'train', 'val', 'test', 'native_train' or 'native_val'; None for all pictures.
            order: which annotation has a pixel of several: the 'later' one, as released, the
                'earlier' one or the 'smaller' one.
            zero: what pixels without annotation are: 'ignore' (-1) or one 'region', with id 0, or
                such a 'background'. None is 'ignore', or 'region' as released.
            as_released: 1 for the maps of the released preprocessing: annotations from the 255th on
                share id 255, pixels without annotation are region 0, later overwrites earlier.

        Raises:
            InputError: files or folders are missing, an annotation file is not as it should be, an
                unknown split, or options that do not go together.
        """
        listed.check_choice("as_released", as_released, (0, 1))
        listed.check_choice("order", order, overlaps.ORDERS)
        if zero is None:
            zero = "region" if as_released else "ignore"
        listed.check_zero(zero)
        if as_released and (order, zero) != ("later", "region"):
            raise InputError(f"as_released=1 means order=later, zero=region; got {order}, {zero}")
        self._order: overlaps.Order = order
        self._zero: listed.Zero = zero
        self._released = bool(as_released)
        root = epath.Path(root)
        if split not in (None, *_PAPER, *_NATIVE):
            raise InputError(
                f"{root}: EntitySeg has no split {split!r}; use {', '.join((*_PAPER, *_NATIVE))}"
            )
        needed = [_NATIVE[split]] if split in _NATIVE else list(_FILES)
        files = [_annotations(root, part) for part in needed]
        missing = [path for path in files if not path.exists()]
        if missing:
            raise InputError(f"{missing[0]}: no such file; {_LAYOUT}")
        indices = [coco_json.Index(path, "segmentation") for path in files]
        names = None
        if split in _PAPER:
            names = frozenset(paper_split(indices[0].names, indices[1].names)[split])
        options = {"order": order, "zero": zero, "as_released": int(as_released)}
        super().__init__(split, indices, options, names)
        # One look at each folder, not at each picture.
        self._folders = {top: _place(root, top) for top in sorted({_top(n) for n in self.files})}

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The paper's three or, with one of the annotation files, the authors' own of that file.

        Raises:
            InputError: neither file is there.
        """
        there = [part for part in _FILES if _annotations(epath.Path(root), part).exists()]
        if not there:
            raise InputError(
                f"{os.fspath(root)}: has no {_FILES['train']}; {_LAYOUT}"
                f"{other_layouts.hint(root, cls.kind)}"
            )
        if len(there) == len(_FILES):
            return _PAPER
        return tuple(split for split, part in _NATIVE.items() if part in there)

    @property
    def unlabelled(self) -> str:
        """What pixels without a region were taken for, and why."""
        if self._released:
            return "pixels without annotation are region 0, as released"
        if self._zero != "ignore":
            return f"pixels without annotation are {listed.of_zero(self._zero)}"
        return "pixels without annotation are ignored: nobody said what they show"

    def _image(self, part: int, name: str) -> epath.Path:
        return epath.Path(self._folders[_top(name)]) / name

    def _labels(
        self, part: int, annotations: list[dict[str, Any]], height: int, width: int, name: str
    ) -> np.ndarray:
        most = _MOST_RELEASED if self._released else len(annotations)
        where = f"{self._indices[part].path}: {name}"
        masks = [
            (min(number, most), runs.of_annotation(each, height, width, where))
            for number, each in enumerate(annotations, start=1)
        ]
        uncovered = IGNORE if self._zero == "ignore" else 0
        return overlaps.paint(masks, height, width, order=self._order, uncovered=uncovered)


def paper_split(train: Sequence[str], val: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The split of arXiv 2601.02881, 80-10-10, of the authors' own two lists.

    The test split is all of `val`, filled up by a draw from `train` to a tenth of all pictures; the
    validation split is a second draw, of a tenth, from what is left.

    Args:
        train: file names.
        val: file names, none of them in `train`.

    Returns:
        'train', 'val' and 'test', each sorted.
    """
    tenth = round(0.1 * len({*train, *val}))
    draw = random.Random(0)
    pool = sorted(set(train) - set(val))
    fill = draw.sample(pool, min(len(pool), max(0, tenth - len(set(val)))))
    left = sorted(set(pool) - set(fill))
    validation = draw.sample(left, min(len(left), tenth))
    return {
        "train": tuple(sorted(set(left) - set(validation))),
        "val": tuple(sorted(validation)),
        "test": tuple(sorted({*val, *fill})),
    }


def _annotations(root: epath.Path, part: str) -> epath.Path:
    beside = root / "annotations" / _FILES[part]
    if beside.exists():
        return beside
    return root / _FILES[part]


def _top(name: str) -> str:
    """The folder that a file name begins with."""
    return name.partition("/")[0] if "/" in name else ""


def _place(root: epath.Path, top: str) -> str:
    bases = [root / base if base != "." else root for base in _IMAGE_FOLDERS]
    found = coco_items.folder([base / top for base in bases], f"unpack it there; {_LAYOUT}")
    return os.fspath(found.parent if top else found)
