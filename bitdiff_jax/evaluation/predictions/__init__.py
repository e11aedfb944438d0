"""Predictions that other tools wrote, read one image at a time.

    predictions = open_predictions("runs/mask2former/inference/coco_instances_results.json")
    for name in predictions.names:
        (labels,) = predictions.maps(name)  # int32 [h, w], -1 = no region

| kind | what it is |
|---|---|
| png | a folder of `ID.png`, or of several samples `ID_0.png`, `ID_1.png`, ...: ids in grey |
| rgb_png | the same in colour, R + 256 G + 65536 B |
| segment | the folder that `bitdiff segment` filled |
| npz | a folder of `ID.npz` or `ID.npy`, or one npz of many images: maps, or masks and scores |
| coco_results | a COCO results file with RLE: detectron2, mmdetection; or a COCO annotation file |
| coco_panoptic | a COCO panoptic JSON file with its PNGs |
| sam | what Segment Anything's automatic mask generator wrote |
| levels | a folder of folders `LEVEL/ID.png`, or npz with 'levels' [n, h, w]: not samples |
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.arrays import Arrays
from bitdiff_jax.evaluation.predictions.coco_panoptic import CocoPanoptic
from bitdiff_jax.evaluation.predictions.coco_results import CocoResults
from bitdiff_jax.evaluation.predictions.detect import detect
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule
from bitdiff_jax.evaluation.predictions.parameter_levels import Levels
from bitdiff_jax.evaluation.predictions.pngs import (
    IdPngs,
    RgbPngs,
    SegmentFolder,
    names_of_files,
)
from bitdiff_jax.evaluation.predictions.reader import Predictions
from bitdiff_jax.evaluation.predictions.sam import Sam
from bitdiff_jax.evaluation.predictions.sample_files import READINGS, Reading, Written

__all__ = ["KINDS", "Predictions", "open_predictions", "written_names"]

# Options of kinds that tell samples by the names of files; other kinds do not take them.
_OF_FILES = ("names", "others")
# The kinds by name, each with its reader and the options that it takes beside `like`.
KINDS: dict[str, tuple[Callable[..., Predictions], tuple[str, ...]]] = {
    "png": (IdPngs, _OF_FILES),
    "rgb_png": (RgbPngs, _OF_FILES),
    "segment": (SegmentFolder, ()),
    "npz": (Arrays, ("rule",)),
    "coco_results": (CocoResults, ("images", "rule")),
    "coco_panoptic": (CocoPanoptic, ("pngs",)),
    "sam": (Sam, ("rule",)),
    "levels": (Levels, ()),
}


def open_predictions(
    path: os.PathLike | str,
    kind: str | None = None,
    *,
    like: Iterable[str] = (),
    rule: Rule | None = None,
    images: os.PathLike | str | None = None,
    pngs: os.PathLike | str | None = None,
    names: Reading | None = None,
    others: Iterable[Written] = (),
) -> Predictions:
    """Opens predictions of any kind.

    Args:
        path: a file or a folder.
        kind: one of `KINDS`; None detects it, but never detects 'rgb_png'.
        like: names of the ground truth. Predictions take these names where they fit (the COCO id
            139 is '000000000139'), and `a_1.png` is an image rather than a sample where `a_1` is
            one of them.
        rule: how masks that overlap become a partition (kinds coco_results, sam and npz with
            masks). None takes the rule of the kind: the mask of higher score on top, for sam the
            smaller one.
        images: for coco_results, a COCO file that lists the images, also those in which nothing
            was found.
        pngs: for coco_panoptic, the folder of PNGs if it is not where panopticapi looks.
        names: how names are read where `like` does not decide: 'whole' if every file is an image,
            'sample_suffix' if `ID_0`, `ID_1`, ... are maps of ID. None decides by what is known,
            and raises an error if both are possible. Only kinds that tell samples by the names of
            files take it.
        others: names from elsewhere that help to decide, such as those of `written_names`.

    Raises:
        InputError: the kind is unknown, it does not take an option, or its reader cannot read the
            files.
    """
    if names not in (None, *READINGS):
        raise InputError(f"names={names!r} is not known: use one of {', '.join(READINGS)}")
    kind, path = _kind(path, kind, like := tuple(like))
    reader, known = KINDS[kind]
    options: dict[str, Any] = {"rule": rule, "images": images, "pngs": pngs}
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in known:
            raise InputError(f"{os.fspath(path)}: {key}= is not for predictions of kind {kind!r}")
    if known == _OF_FILES:
        given |= {"names": names, "others": others}
    return reader(path, like=like, **given)


def written_names(path: os.PathLike | str, kind: str | None = None, **options: Any) -> Written:
    """The names in predictions as they are written, which help to read the names of a truth.

    Args:
        path: a file or a folder, as for `open_predictions`.
        kind: one of `KINDS`; None detects it.
        **options: other options of `open_predictions`.

    Raises:
        InputError: `open_predictions` raises it for another reason than files that may be images or
            samples.
    """
    kind, path = _kind(path, kind, ())
    if KINDS[kind][1] == _OF_FILES:
        return names_of_files(path)
    return Written(open_predictions(path, kind, **options).names)


def _kind(
    path: os.PathLike | str, kind: str | None, like: tuple[str, ...]
) -> tuple[str, os.PathLike | str]:
    if kind is None:
        return detect(path, like)
    if kind not in KINDS:
        raise InputError(f"kind={kind!r} is not known: use one of {', '.join(KINDS)}")
    return kind, path
