"""Detects which kind of predictions a path holds, by its files."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from etils import epath

from bitdiff_jax.data.images import IMAGE_SUFFIXES
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import arrays, json_index, parameter_levels, pngs, sam
from bitdiff_jax.evaluation.predictions.image_names import Names

# Files of predictions that detectron2's evaluator leaves in its folder, beside other files.
_RESULTS = ("coco_instances_results.json", "inference/coco_instances_results.json")


class Found(NamedTuple):
    """A kind and the path to open, which may be a file of the folder that was named."""

    kind: str
    path: str


def detect(path: os.PathLike | str, like: Iterable[str] = ()) -> Found:
    """The kind of predictions at a path.

    Args:
        path: a file or a folder.
        like: names of the ground truth, which tell a folder of an image from one of a level.

    Raises:
        InputError: the path does not exist, or holds no known kind or several kinds.
    """
    place = epath.Path(path)
    if place.is_file():
        return Found(_of_file(place), os.fspath(path))
    if not place.is_dir():
        raise InputError(f"{os.fspath(path)}: no such file or folder; check the path")
    for name in _RESULTS:
        if (place / name).exists():
            return Found("coco_results", os.fspath(place / name))
    files = pngs.listed(place)
    if any(each.name == pngs.TABLE for each in files) and any(
        each.name.endswith(pngs.LABELS) for each in files
    ):
        return Found("segment", os.fspath(path))
    found = set(_kinds(files, os.fspath(path)))
    if len(found) == 1:
        only = found.pop()
        if only.kind == "levels":
            _check_levels(place, Names(like))
        return only
    kinds = " and ".join(sorted({each.kind for each in found}))
    raise InputError(
        f"{os.fspath(path)}: holds {kinds or 'no predictions that are known'}; "
        "name the file, or the kind"
    )


def _kinds(files: list[epath.Path], folder: str) -> Iterator[Found]:
    """The kinds that the files of a folder show; PNGs of a panoptic JSON file do not count."""
    found = []
    for each in [each for each in files if each.suffix.lower() == ".json"]:
        kind = _of_json(each)
        # A folder of SAM has a file for each image, of which one is enough.
        if kind == "sam":
            found = [Found(kind, folder)]
            break
        # Other JSON files, such as settings, may lie there too.
        if kind is not None:
            found.append(Found(kind, os.fspath(each)))
    yield from found
    numpys = [each for each in files if each.suffix.lower() in arrays.SUFFIXES]
    if numpys:
        yield Found("levels" if _has_levels(numpys[0]) else "npz", folder)
    if any(each.suffix.lower() in pngs.SUFFIXES for each in files):
        if not any(each.kind == "coco_panoptic" for each in found):
            yield Found("png", folder)
    elif not found and any((each / "metadata.csv").exists() for each in files):
        yield Found("sam", folder)
    elif not found and not numpys and _is_sweep(epath.Path(folder)):
        yield Found("levels", folder)
    elif not found and not numpys and any(each.suffix.lower() in IMAGE_SUFFIXES for each in files):
        yield Found("png", folder)  # its reader says what is wrong with JPEG


def _is_sweep(folder: epath.Path) -> bool:
    """Whether there are folders named by numbers, and images that are in more than one of them."""
    found = parameter_levels.level_folders(folder)
    if len(found) < 2 or not all(parameter_levels.is_number(each.name) for each in found):
        return False
    first, second = ({file.name for file in pngs.listed(each)} for each in found[:2])
    return bool(first & second)


def _check_levels(place: epath.Path, names: Names) -> None:
    """Refuses folders `ID/0.png` of masks, which look like a sweep if images have numbers."""
    for each in parameter_levels.level_folders(place):
        if (name := names.find(each.name)) is not None:
            raise InputError(
                f"{os.fspath(place)}: the folder {each.name} may be the image {name!r} of the "
                f"ground truth, with a file for each mask, or the level {each.name} of a "
                "parameter; for levels say kind=levels, and write masks as one map an image"
            )


def _has_levels(path: epath.Path) -> bool:
    """Whether a file holds one image's levels; a damaged file is left to its reader."""
    try:
        with arrays.load(path) as file:
            return (
                set(file) <= {parameter_levels.ARRAY, "thresholds"}
                and parameter_levels.ARRAY in file
            )
    except (InputError, AttributeError, TypeError):
        return False


def _of_file(path: epath.Path) -> str:
    if path.suffix.lower() == ".json":
        kind = _of_json(path)
        if kind is None:
            raise InputError(
                f"{path}: holds no predictions that are known: records need image_id and "
                "segmentation or segments_info (COCO), or segmentation and predicted_iou (SAM)"
            )
        return kind
    if path.suffix.lower() == ".npz":
        return "levels" if _has_levels(path) else "npz"
    raise InputError(f"{path}: name a JSON file, an npz file, or the folder that this file lies in")


def _of_json(path: epath.Path) -> str | None:
    """The kind by the file's first record, without reading the rest; None for other files."""
    for _, record, _, _ in (each for each in json_index.scan(path) if each[0] != "images"):
        if not isinstance(record, dict):
            continue
        if "segments_info" in record:
            return "coco_panoptic"
        if "image_id" in record:
            return "coco_results"
        if sam.SCORE in record:
            return "sam"
        break
    return None
