"""The formats that have a short name, and how formats are opened and written.

`FORMATS` are those that have a short name. Another one, of yours, is handed over as it is in
Python, and by `package.module:name` on the command line.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from etils import epath

from bitdiff_jax import extensions, files
from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.formats.archive import ArchiveFormat
from bitdiff_jax.inference.formats.coco_instances import CocoInstancesFormat
from bitdiff_jax.inference.formats.coco_panoptic import CocoPanopticFormat
from bitdiff_jax.inference.formats.fiftyone_folder import FiftyoneFormat
from bitdiff_jax.inference.formats.hypotheses import HypothesesFormat
from bitdiff_jax.inference.formats.imagej_rois import ImagejFormat
from bitdiff_jax.inference.formats.labelme import LabelmeFormat
from bitdiff_jax.inference.formats.outlines import check_tolerance
from bitdiff_jax.inference.formats.pngs import (
    BoundaryFormat,
    ModesFormat,
    PngFormat,
    agreement_png,
    region_ids,
    region_png,
)
from bitdiff_jax.inference.formats.protocol import FolderFormat, Format
from bitdiff_jax.inference.formats.qupath_geojson import GeoJsonFormat

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

# Of all samples together; nothing of few, see `posterior_outputs.MIN_SAMPLES`.
POSTERIOR: Mapping[str, Format] = {"boundary": BoundaryFormat(), "modes": ModesFormat()}
# What each is and who reads it: docs/formats.md.
FORMATS: Mapping[str, Format] = {
    "id_png": PngFormat("_labels.png", lambda s: region_ids(s.label_map(), 16)),
    "colours": PngFormat("_colours.png", lambda s: outputs.colours(s.label_map())),
    "overlay": PngFormat("_overlay.png", lambda s: outputs.overlay(s.image, s.label_map())),
    "agreement": PngFormat("_agreement.png", agreement_png),
    "region": PngFormat("_region.png", region_png),
    **POSTERIOR,
    "id_png8": PngFormat("_labels8.png", lambda s: region_ids(s.label_map(), 8)),
    "npz": ArchiveFormat(),
    "coco_panoptic": CocoPanopticFormat(),
    "coco_instances": CocoInstancesFormat(),
    "labelme": LabelmeFormat(),
    "geojson": GeoJsonFormat(),
    "geojson_detections": GeoJsonFormat("_detections.geojson", "detection"),
    "imagej": ImagejFormat(),
    "fiftyone": FiftyoneFormat(),
    "hypotheses": HypothesesFormat(),
}
DEFAULT = ("id_png", "colours", "overlay", "agreement", "region", *POSTERIOR)


def open_formats(formats: Sequence["str | Format"]) -> dict[str, Format]:
    """Formats by what they were called.

    Args:
        formats: keys of `FORMATS`, references `package.module:name`, or formats themselves.

    Raises:
        InputError: one is not known, cannot be imported, is not a function, or needs a package
            that is not installed.
    """
    if isinstance(formats, str):
        raise InputError(f"formats is {formats!r}; give a list, [{formats!r}]")
    found: dict[str, Format] = {}
    for each in formats:
        if not isinstance(each, str):
            name, value = getattr(each, "__name__", type(each).__name__), each
        elif each in FORMATS:
            name, value = each, FORMATS[each]
        elif extensions.is_reference(each):
            name, value = each, extensions.resolve(each, "formats")
        else:
            raise InputError(
                f"formats: {each!r} is not known; use {', '.join(FORMATS)}, or "
                f"package.module:name{did_you_mean(each, FORMATS)}"
            )
        if not callable(value):
            raise InputError(f"formats: {name} is not a function write(segmentation, folder, name)")
        check = getattr(value, "check", None)
        if check is not None:
            check()
        found[name] = value
    return found


def with_tolerance(
    formats: Mapping[str, Format], tolerance: float, argument: str = "tolerance"
) -> dict[str, Format]:
    """The formats with this tolerance of outlines, where they have one.

    Args:
        formats: as `open_formats` gives them.
        tolerance: pixels, see `outlines.outlines`.
        argument: what it is called, for the message.

    Raises:
        InputError: the tolerance is negative or not finite.
    """
    check_tolerance(tolerance, argument)
    return {name: _with_tolerance(each, tolerance) for name, each in formats.items()}


def _with_tolerance(each: Format, tolerance: float) -> Format:
    if not isinstance(each, GeoJsonFormat | LabelmeFormat | ImagejFormat):
        return each
    return dataclasses.replace(each, tolerance=tolerance)


def suffixes_of(formats: Mapping[str, Format]) -> set[str]:
    """The ends of the names of all files that the formats say they write."""
    return {suffix for each in formats.values() for suffix in getattr(each, "suffixes", ())}


def of_folders(formats: Mapping[str, Format]) -> list[FolderFormat]:
    """Those that have a file of all images of the folder."""
    return [each for each in formats.values() if isinstance(each, FolderFormat)]


def write(
    segmentation: "Segmentation",
    folder: epath.PathLike,
    name: str,
    formats: Mapping[str, Format],
) -> None:
    """Writes one segmentation in each of the formats.

    Args:
        segmentation: what is written.
        folder: where to; it must exist.
        name: with which the files' names begin.
        formats: as `open_formats` gives them.

    Raises:
        InputError: a format fails.
    """
    for called, each in formats.items():
        try:
            each(segmentation, epath.Path(folder), name)
        except InputError:
            raise
        except OSError as error:
            raise InputError(
                f"formats: {called} cannot write {os.fspath(folder)} ({files.reason(error)}); "
                f"{files.remedy(error)}"
            ) from error
        except Exception as error:
            raise InputError(
                f"formats: {called} failed on {name!r}: {extensions.failure(error)}"
            ) from error
