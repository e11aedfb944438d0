"""The ground truth of an evaluation of files, and which predictions belong to it."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images, labelmaps, spec_text, specs, zero_readings
from bitdiff_jax.data.folder import FolderSource
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.data.readers import READERS, check_options
from bitdiff_jax.data.readers.listed import check_zero
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import KINDS, Predictions, open_predictions
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.pngs import listed
from bitdiff_jax.evaluation.predictions.sample_files import Reading, Written


class Truth(NamedTuple):
    """One image's truth."""

    labels: tuple[np.ndarray, ...]  # int32 [h, w], one per annotator; ids >= 0, -1 = ignore
    image: np.ndarray | None  # uint8 [h, w, 3]; None if the ground truth holds no images


class Truths(Protocol):
    """Random access to truths by name; only the image that is read is in memory."""

    names: tuple[str, ...]
    unlabelled: str  # how pixels without a region were read, in one phrase

    def read(self, name: str) -> Truth:
        """The truth of one of `names`; `InputError` if a file of it cannot be read."""


class SourceTruths:
    """Truths of any source of the package: a data set as shipped, or images/ and labels/."""

    def __init__(self, source: Source, names: Sequence[str], unlabelled: str):
        self.names = tuple(map(file_names.as_text, names))
        self.unlabelled = unlabelled
        self._source = source
        self._index = {name: index for index, name in enumerate(self.names)}

    def read(self, name: str) -> Truth:
        """As `Truths.read`."""
        item = self._source[self._index[name]]
        return Truth(item["labels"], item["image"])


class MapTruths:
    """Truths of files of maps alone, in any form in which predictions are read."""

    def __init__(
        self,
        maps: Predictions,
        zero: str | None,
        images: dict[str, str],
        names: Sequence[str] | None = None,
    ):
        if maps.levels is not None:
            raise InputError(f"{maps.path}: holds levels of a parameter, which are no truths")
        self.names = maps.names if names is None else tuple(names)
        self._maps = maps
        known = Names(self.names)
        self._images = {known.name(name): path for name, path in images.items()}
        self._ignore_zero = maps.kind == "png" and zero in (None, "ignore")
        # Files of other kinds say which pixels have no region.
        self._keep_rest = maps.kind != "png" and zero not in (None, "ignore")
        if maps.kind == "png" and zero is None:
            self._check_zero()
        self.unlabelled = (
            "id 0 is ignored" if self._ignore_zero else "only pixels of no region are ignored"
        )
        if self._keep_rest:
            what = "the background, one region" if zero == "background" else "one region"
            self.unlabelled = f"pixels of no region are {what}, as asked for"

    def read(self, name: str) -> Truth:
        """As `Truths.read`."""
        labels = self._maps.maps(name)
        if self._ignore_zero:
            labels = tuple(np.where(ids == 0, labelmaps.IGNORE, ids) for ids in labels)
        elif self._keep_rest:
            labels = tuple(np.where(ids < 0, ids.max() + 1, ids) for ids in labels)
        path = self._images.get(name)
        return Truth(labels, None if path is None else images.read_image(path))

    def _check_zero(self) -> None:
        zeros = zero_readings.measure(len(self.names), lambda k: self._maps.maps(self.names[k]))
        if zeros.share > zero_readings.SHARE:
            name = self.names[zeros.typical]
            ids, path = self._maps.maps(name)[0], self._images.get(name)
            image = None if path is None else images.read_image(path)
            raise zero_readings.question(self._maps.path, zeros.share, ids, image)


def open_truths(
    ground_truth: str,
    *,
    zero: str | None = None,
    images_folder: str | None = None,
    names: Reading | None = None,
    others: Iterable[Written] = (),
) -> Truths:
    """Opens a ground truth.

    Args:
        ground_truth: a path or a spec; a text that is an existing path is a path. A spec has the
            form 'bsds500:DIR,split=val'. A path is that of a folder that holds images/ and labels/,
            or of files of maps as `predictions.open_predictions` reads them, where `ID_0`, `ID_1`
            are annotators. Such files may have a spec, too: KIND:PATH with options zero=, images=,
            pngs=, names=, as in
            'coco_panoptic:annotations/panoptic_val2017.json,pngs=DIR,images=val2017'. In
            'folder:DIR,split=val,zero=region' the images may be missing.
        zero: how id 0 of grey PNGs, and pixels of no region in files of other kinds, are read:
            'ignore', or 'background' or 'region', which both make them one region of the truth.
            None ignores them; id 0 only as long as it covers little.
        images_folder: folder of images `ID.jpg` for files of maps, which sheets show.
        names: 'whole' if every file of maps is of an image of its own, 'sample_suffix' if `ID_0`,
            `ID_1` are maps of ID by several annotators. None decides by the names of images, of
            splits and of `others`, and by sizes, and raises an error where both are possible.
        others: names of predictions, which are used if nothing else decides.

    Raises:
        InputError: the ground truth does not exist, or its reader cannot read it.
    """
    path = files.at_home(ground_truth)
    # A file or a folder may itself be called KIND:NAME.
    if ":" in ground_truth and not _exists(path):
        kind = ground_truth.partition(":")[0].partition(",")[0]
        given = {"zero": zero, "images": images_folder, "names": names}
        if kind in ("folder", *KINDS) and (maps := _maps_of(ground_truth, given, others)):
            return maps
        if kind in READERS:
            source: Any = specs.open_source(ground_truth, image_size=0)
            return SourceTruths(source, source.names, source.unlabelled)
    root = epath.Path(path)
    if (root / "labels").is_dir() and (root / "images").is_dir():
        folder = FolderSource(path, zero=zero)  # type: ignore[arg-type]
        return SourceTruths(folder, folder.names, folder.unlabelled)
    _check(zero)
    pictures = _images(images_folder)
    known = itertools.chain([Written(tuple(pictures))], _beside(root), others)
    return MapTruths(open_predictions(path, names=names, others=known), zero, pictures)


def _exists(path: str) -> bool:
    try:
        return epath.Path(path).exists()
    except (OSError, ValueError):  # for example, too long for a name
        return False


def _check(zero: str | None) -> None:
    if zero is not None:
        check_zero(zero)


def _maps_of(text: str, given: dict[str, Any], others: Iterable[Written]) -> MapTruths | None:
    """The truths of a spec that names files of maps; None if it is another."""
    specs_of_text = spec_text.parse(text)
    if len(specs_of_text) != 1:
        raise InputError(f"{text!r}: names {len(specs_of_text)} ground truths; name one")
    spec = specs_of_text[0]
    kind, path = spec.kind, spec.path
    place = epath.Path(path)
    if kind == "folder":
        if (place / "images").is_dir() or not (place / "labels").is_dir():
            return None
        known: tuple[str, ...] = ("split", "zero", "images", "names")
        maps_kind, path = "png", os.fspath(place / "labels")
    elif kind in KINDS and (kind not in READERS or place.is_file()):
        known = ("zero", "images", "names", *(["pngs"] if kind == "coco_panoptic" else []))
        maps_kind = kind
    else:
        return None
    if unknown := [key for key in spec.options if key not in known]:
        check_options(kind, {key: spec.options[key] for key in unknown}, known)
    options = {**given, **spec.options}
    zero = options["zero"]
    _check(zero)
    pictures = _images(options["images"])
    names = FolderSource.split_names(place, options["split"]) if "split" in options else None
    maps = open_predictions(
        path,
        maps_kind,
        like=names or (),
        pngs=files.at_home(options["pngs"]) if "pngs" in options else None,
        names=options["names"],
        others=itertools.chain([Written(tuple(pictures))], _of_splits(place), others),
    )
    if names is not None and (missing := [name for name in names if name not in maps.names]):
        raise InputError(
            f"{text}: {len(missing)} of the split have no map, the first is {missing[0]}; add it"
        )
    return MapTruths(maps, zero, pictures, names)


def _of_splits(root: epath.Path) -> Iterator[Written]:
    """The names that splits.json lists, if it is there; only read when they are needed."""
    for split in FolderSource.splits(root):
        yield Written(tuple(FolderSource.split_names(root, split)))


def _beside(labels: epath.Path) -> Iterator[Written]:
    """The names of the images and splits beside a folder ROOT/labels."""
    if labels.name == "labels":
        if (labels.parent / "images").is_dir():
            yield Written(tuple(_images(os.fspath(labels.parent / "images"))))
        yield from _of_splits(labels.parent)


def _images(folder: str | None) -> dict[str, str]:
    if folder is None:
        return {}
    path = epath.Path(files.at_home(folder))
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder of images; check the path")
    return {
        file_names.as_text(each.stem): os.fspath(each)
        for each in listed(path)
        if each.suffix.lower() in images.IMAGE_SUFFIXES
    }


class Matching(NamedTuple):
    """The names that are on both sides, in the order of the truth, and those on one side only."""

    both: tuple[str, ...]
    without_prediction: tuple[str, ...]
    without_truth: tuple[str, ...]

    def text(self, shown: int = 10) -> str:
        """A text that says which names are missing; '' if none are."""
        lines = []
        for missing, what in (
            (self.without_prediction, "of the ground truth have no prediction"),
            (self.without_truth, "predictions have no ground truth"),
        ):
            if missing:
                more = f", and {len(missing) - shown} more" if len(missing) > shown else ""
                lines.append(f"{len(missing)} {what}: {', '.join(missing[:shown])}{more}")
        return "\n".join(lines)


def match(
    predicted: Iterable[str], true: Iterable[str], remedy: str = "name them alike"
) -> Matching:
    """Matches predictions and truths by name.

    Readers of predictions already use the names of the truth where these fit.

    Args:
        predicted: names of predictions.
        true: names of the truth.
        remedy: remedy for the message if nothing matches.

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
            f"{true[0] if true else '(none)'!r}; {remedy}"
        )
    return Matching(
        both,
        tuple(name for name in true if name not in has_prediction),
        tuple(sorted(name for name in predicted if name not in has_truth)),
    )
