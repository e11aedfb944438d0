"""The ground truth of an evaluation of files, and which predictions belong to it."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from etils import epath

from bitdiff_jax.data import images, labelmaps, specs
from bitdiff_jax.data.folder import FolderSource
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.data.readers import READERS
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import KINDS, Predictions, open_predictions

_SAMPLE = 64
_SHARE = 0.2


class Truth(NamedTuple):
    """One picture's truth."""

    labels: tuple[np.ndarray, ...]  # int32 [h, w], one a person; ids >= 0, -1 = ignore
    image: np.ndarray | None  # uint8 [h, w, 3]; None if the ground truth holds no pictures


class Truths(Protocol):
    """Random access by name; only the picture asked for is in memory."""

    names: tuple[str, ...]
    unlabelled: str  # one phrase: what pixels without a region were taken for

    def read(self, name: str) -> Truth:
        """The truth of one of `names`; `InputError` if a file of it cannot be read."""


class SourceTruths:
    """Those of any source of the package: a data set as shipped, or images/ and labels/."""

    def __init__(self, source: Source, names: Sequence[str], unlabelled: str):
        self.names = tuple(names)
        self.unlabelled = unlabelled
        self._source = source
        self._index = {name: index for index, name in enumerate(self.names)}

    def read(self, name: str) -> Truth:
        """As `Truths.read`."""
        item = self._source[self._index[name]]
        return Truth(item["labels"], item["image"])


class MapTruths:
    """Those of files of maps alone, in any form in which predictions are read."""

    def __init__(
        self,
        maps: Predictions,
        zero: str | None,
        pictures: dict[str, str],
        names: Sequence[str] | None = None,
    ):
        if maps.levels is not None:
            raise InputError(f"{maps.path}: holds levels of a parameter, which are no truths")
        self.names = maps.names if names is None else tuple(names)
        self._maps = maps
        self._images = pictures
        # In files of other kinds pixels without a region are known as such.
        self._ignore_zero = maps.kind == "png" and zero != "region"
        if maps.kind == "png" and zero is None:
            self._check_zero()
        self.unlabelled = "id 0 is ignored" if self._ignore_zero else "pixels of no region alone"

    def read(self, name: str) -> Truth:
        """As `Truths.read`."""
        labels = self._maps.maps(name)
        if self._ignore_zero:
            labels = tuple(np.where(ids == 0, labelmaps.IGNORE, ids) for ids in labels)
        path = self._images.get(name)
        return Truth(labels, None if path is None else images.read_image(path))

    def _check_zero(self) -> None:
        step = max(1, len(self.names) // _SAMPLE)
        zeros = pixels = 0
        for name in self.names[::step][:_SAMPLE]:
            for ids in self._maps.maps(name):
                zeros, pixels = zeros + int((ids == 0).sum()), pixels + ids.size
        if zeros > _SHARE * pixels:
            raise InputError(
                f"{self._maps.path}: id 0 covers {zeros / pixels:.0%} of the truth; say what it "
                "means: --zero=ignore if it is not annotated, --zero=region if it is a region"
            )


def open_truths(
    ground_truth: str,
    *,
    zero: str | None = None,
    images_folder: str | None = None,
) -> Truths:
    """Opens a ground truth.

    Args:
        ground_truth: a spec such as 'bsds500:DIR,split=val'; a folder that holds images/ and
            labels/; or files of maps as `others.open_predictions` reads them, where `ID_0`, `ID_1`
            are people. These may be a spec, too: KIND:PATH with options zero=, images=, pngs=, as
            in 'coco_panoptic:annotations/panoptic_val2017.json,pngs=DIR,images=val2017'. In
            'folder:DIR,split=val,zero=region' the pictures may be missing.
        zero: what id 0 of grey PNGs is: 'ignore' or 'region'. None ignores it as long as it
            covers little.
        images_folder: pictures `ID.jpg` of files of maps, for sheets.

    Raises:
        InputError: there is no such thing, or its reader's.
    """
    kind = ground_truth.partition(":")[0].partition(",")[0]
    if ":" in ground_truth and (maps := _maps_of(ground_truth, kind, zero, images_folder)):
        return maps
    if ":" in ground_truth and kind in READERS:
        source: Any = specs.open_source(ground_truth, image_size=0)
        return SourceTruths(source, source.names, source.unlabelled)
    root = epath.Path(ground_truth)
    if (root / "labels").is_dir() and (root / "images").is_dir():
        folder = FolderSource(ground_truth, zero=zero)  # type: ignore[arg-type]
        return SourceTruths(folder, folder.names, folder.unlabelled)
    _check(zero)
    return MapTruths(open_predictions(ground_truth), zero, _images(images_folder))


def _check(zero: str | None) -> None:
    if zero not in (None, "ignore", "region"):
        raise InputError(f"zero={zero!r} is not known: use 'ignore' or 'region'")


def _maps_of(spec: str, kind: str, zero: str | None, images_folder: str | None) -> MapTruths | None:
    """The truths of a spec that names files of maps; None if it is another."""
    path, *pairs = spec.partition(":")[2].split(",")
    place = epath.Path(path)
    if kind == "folder":
        if (place / "images").is_dir() or not (place / "labels").is_dir():
            return None
        known: tuple[str, ...] = ("split", "zero", "images")
        maps_kind, path = "png", os.fspath(place / "labels")
    elif kind in KINDS and (kind not in READERS or place.is_file()):
        known = ("zero", "images", *(["pngs"] if kind == "coco_panoptic" else []))
        maps_kind = kind
    else:
        return None
    options = {}
    for pair in pairs:
        key, equals, value = (each.strip() for each in pair.partition("="))
        if not equals or key not in known:
            raise InputError(f"{spec!r}: {pair!r} is not of the form {'=, '.join(known)}=")
        options[key] = value
    zero = options.get("zero", zero)
    _check(zero)
    names = FolderSource.split_names(place, options["split"]) if "split" in options else None
    maps = open_predictions(path, maps_kind, like=names or (), pngs=options.get("pngs"))
    if names is not None and (missing := [name for name in names if name not in maps.names]):
        raise InputError(
            f"{spec}: {len(missing)} of the split have no map, the first is {missing[0]}; add it"
        )
    return MapTruths(maps, zero, _images(options.get("images", images_folder)), names)


def _images(folder: str | None) -> dict[str, str]:
    if folder is None:
        return {}
    path = epath.Path(folder)
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder of pictures; check the path")
    return {
        each.stem: os.fspath(each)
        for each in sorted(path.iterdir(), key=lambda each: each.name)
        if each.suffix.lower() in images.IMAGE_SUFFIXES
    }


class Matching(NamedTuple):
    """Which names are on both sides, in the order of the truth, and which are missing on one."""

    both: tuple[str, ...]
    without_prediction: tuple[str, ...]
    without_truth: tuple[str, ...]

    def text(self, shown: int = 10) -> str:
        """What is missing, in full sentences; '' if nothing is."""
        lines = []
        for missing, what in (
            (self.without_prediction, "of the ground truth have no prediction"),
            (self.without_truth, "predictions have no ground truth"),
        ):
            if missing:
                more = f", and {len(missing) - shown} more" if len(missing) > shown else ""
                lines.append(f"{len(missing)} {what}: {', '.join(missing[:shown])}{more}")
        return "\n".join(lines)


def match(predicted: Iterable[str], true: Iterable[str]) -> Matching:
    """Matches by name.

    Raises:
        InputError: not a single name is on both sides.
    """
    predicted, true = tuple(predicted), tuple(true)
    has_prediction, has_truth = frozenset(predicted), frozenset(true)
    both = tuple(name for name in true if name in has_prediction)
    if not both:
        raise InputError(
            f"no prediction has the name of a picture of the ground truth: {len(predicted)} such "
            f"as {predicted[0] if predicted else '(none)'!r} and {len(true)} such as "
            f"{true[0] if true else '(none)'!r}; name them alike"
        )
    return Matching(
        both,
        tuple(name for name in true if name not in has_prediction),
        tuple(sorted(name for name in predicted if name not in has_truth)),
    )
