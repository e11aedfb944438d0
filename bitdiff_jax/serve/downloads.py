"""The files of a format, for a browser."""

import dataclasses
import io
import mimetypes
import pathlib
import tempfile
import zipfile
from typing import NamedTuple

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats
from bitdiff_jax.inference.segmentation import Segmentation

_ALL = "all"
_NOT_HERE = {"region"}  # it is of the points of `segment --points`, which the page does not have
# What a button says; a format that is not here is called by its name.
_LABELS = {
    "id_png": "Region ids, 16-bit PNG",
    "id_png8": "Region ids, 8-bit PNG",
    "colours": "Colours, PNG",
    "overlay": "Overlay, PNG",
    "agreement": "Agreement, PNG",
    "boundary": "Boundaries",
    "modes": "Most different answers",
    "npz": "All samples, npz",
    "coco_panoptic": "COCO panoptic",
    "coco_instances": "COCO instances",
    "geojson": "GeoJSON for QuPath",
    "geojson_detections": "GeoJSON, detections",
    "imagej": "ImageJ ROIs",
    "fiftyone": "FiftyOne",
    "hypotheses": "All samples, TIFF (Ultrack)",
    _ALL: "All of these, zip",
}


class Download(NamedTuple):
    """A file for a browser."""

    name: str
    media_type: str
    data: bytes


def names() -> list[str]:
    """The formats that are offered: all that have a short name and can be of use here."""
    return [each for each in formats.FORMATS if each not in _NOT_HERE]


def labels() -> list[tuple[str, str]]:
    """What is offered, as `make` calls it, and as a person does; all of them at the end."""
    return [(each, _LABELS.get(each, each)) for each in (*names(), _ALL)]


def make(segmentation: Segmentation, format_name: str) -> Download:
    """Writes a result in one format, or in all.

    Nothing stays on the disk, and nothing in the memory that was computed for the file.

    Args:
        segmentation: what is written.
        format_name: one of `names`, or 'all' for a zip of what all of them can write.

    Returns:
        The file; a zip where there are several.

    Raises:
        InputError: the format is not known or fails, or it has nothing to write of this result.
    """
    # Not left to `open_formats`, which imports what a reference names.
    if format_name not in (_ALL, *names()):
        raise InputError(
            f"the format {format_name!r} is not known; there are {', '.join(names())} and {_ALL}"
        )
    written = _all(segmentation) if format_name == _ALL else _files(segmentation, format_name)
    stem = segmentation.name or "image"
    if not written:
        raise InputError(
            f"{format_name} has nothing to write of {segmentation.num_samples} sample(s); draw "
            "more samples"
        )
    if len(written) == 1 and format_name != _ALL:
        ((name, data),) = written.items()
        return Download(name, mimetypes.guess_type(name)[0] or "application/octet-stream", data)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in written.items():
            archive.writestr(name, data)
    return Download(f"{stem}_{format_name}.zip", "application/zip", buffer.getvalue())


def _files(segmentation: Segmentation, *format_names: str) -> dict[str, bytes]:
    """The bytes of all files of some formats by name; some write beside what others wrote."""
    chosen = formats.open_formats(format_names)
    copy = dataclasses.replace(segmentation)  # what it computes is forgotten with it
    with tempfile.TemporaryDirectory(prefix="bitdiff_serve_") as folder:
        formats.write(copy, folder, copy.name or "image", chosen)
        root = pathlib.Path(folder)
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def _all(segmentation: Segmentation) -> dict[str, bytes]:
    """The files of all formats; those that fail are named in a file of their own."""
    found: dict[str, bytes] = {}
    failed = []
    for name in names():
        try:
            found.update(_files(segmentation, name))
        except InputError as error:
            failed.append(str(error))
    if failed:
        found["not_written.txt"] = ("\n".join(failed) + "\n").encode()
    return found
