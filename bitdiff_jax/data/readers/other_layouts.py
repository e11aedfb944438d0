"""Which kind a folder looks like, for the message of a reader that it was not made for."""

import itertools
import os
from collections.abc import Iterator

from etils import epath

from bitdiff_jax.data import file_names, spec_text

_CHALLENGE = (
    "; it looks like ADEChallengeData2016, whose maps are of classes and not of objects: ade20k: "
    "reads the full set, ADE20K_2021_17_01; to use the classes as regions, name a folder with "
    "images/training as its images and annotations/training as its labels as folder:DIR"
)


def hint(root: os.PathLike | str, kind: str) -> str:
    """What to use instead: '; it looks like ...', or '' if that is not known.

    Args:
        root: the folder that a reader of `kind` could not use.
        kind: the kind that was asked for, which is not named again.
    """
    try:
        folder = epath.Path(root)
        if _all(folder, "images/training", "annotations/training"):
            return _CHALLENGE
        found = next((each for each in _kinds(folder) if each != kind), None)
    except OSError:  # a folder that cannot be listed is for others to tell
        return ""
    if found is None:
        return ""
    return f"; it looks like {found}: use {spec_text.write(found, os.fspath(root))}"


def _kinds(root: epath.Path) -> Iterator[str]:
    """The kinds that a folder may be of, those that are told most surely first."""
    if (root / "records.json").exists():
        yield "records"
    if (root / "features.json").exists() and (root / "dataset_info.json").exists():
        yield "tfds"
    if _all(root, "gtFine", "leftImg8bit"):
        yield "cityscapes"
    names = _names(root)
    years = [name for name in names if name.startswith("VOC2")]
    years += [f"VOCdevkit/{name}" for name in _names(root / "VOCdevkit")]
    if any(_all(root / year, "JPEGImages", "SegmentationObject") for year in ("", *years)):
        yield "voc"
    bases = ("", "data", "BSDS500/data", "BSR/BSDS500/data")
    if any(_all(root / base, "images", "groundTruth") for base in bases):
        yield "bsds500"
    annotations = [*names, *_names(root / "annotations")]
    for prefix, kind in (
        ("entityseg_", "entityseg"),
        ("panoptic_", "coco_panoptic"),
        ("instances_", "coco_instances"),
    ):
        if any(name.startswith(prefix) and name.endswith(".json") for name in annotations):
            yield kind
    releases = ("", "ADE20K_2021_17_01", "ADE20K_2016_07_26")
    places = [root / release / "images" for release in releases]
    if any(_all(place / ade, "training") for place in places for ade in ("ADE", "")):
        yield "ade20k"
    if _all(root, "images", "labels"):
        yield "folder"
    below = _folders(root)
    places = [root, *below, *(each for folder in below for each in _folders(folder))]
    if any(_all(place, "images", "masks") for place in places):
        yield "masks"


def _all(folder: epath.Path, *names: str) -> bool:
    return all((folder / name).is_dir() for name in names)


def _folders(folder: epath.Path) -> list[epath.Path]:
    """The first folders in a folder: of a set with a folder for each picture, two are enough."""
    found = (folder / name for name in _names(folder))
    return list(itertools.islice((path for path in found if path.is_dir()), 2))


def _names(folder: epath.Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not file_names.is_litter(path.name))
