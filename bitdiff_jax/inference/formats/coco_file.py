"""A COCO file of all images of a folder, to which images are added and from which they are removed.

It is JSON with a line for each image and a line for the annotations of each image, so that adding
one to ten thousand copies bytes, and parses none but the images' names.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.region_table import Region

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

# A class-agnostic segmentation has one category.
CATEGORY = 1
_BITS = 24  # of the number of an annotation within its image
_FIRST = b'{"image_id": '  # with which a line of annotations begins
_IMAGES, _ANNOTATIONS, _END = b'"images": [', b'],\n"annotations": [', b"]}\n"
_CATEGORIES = [{"id": CATEGORY, "name": "region", "supercategory": "region", "isthing": 1}]
_HEAD = b'{"info": {"description": "bitdiff_jax"}, "licenses": [], "categories": ' + (
    json.dumps(_CATEGORIES).encode() + b","
)


def add(
    path: epath.Path, name: str, image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]
) -> None:
    """Adds an image with its annotations, in place of an earlier one of that name.

    Args:
        path: the file, which is made if need be.
        name: of the image among those of the folder.
        image: its record without 'id'.
        annotations: without 'image_id'. An 'id' is the number of an annotation within the image,
            from which it gets one that no other of the file has.

    Raises:
        InputError: the file is of another kind, or cannot be read or written.
    """
    images, blocks = _read(path)
    number = 1 + max((record["id"] for record in images.values()), default=0)
    blocks.pop(images.get(name, {}).get("id", -1), None)
    images.pop(name, None)
    images[name] = {"id": number, **image, "name": name}
    if annotations:
        lines = []
        for each in annotations:
            unique = {"id": number << _BITS | each["id"]} if "id" in each else {}
            lines.append(json.dumps({"image_id": number, **each, **unique}))
        blocks[number] = ", ".join(lines).encode()
    _write(path, images, blocks)


def names(path: epath.Path) -> set[str]:
    """The names of the images that the file tells of; none if it is not there.

    Raises:
        InputError: as of `add`.
    """
    return set(_read(path)[0])


def remove(path: epath.Path, gone: Collection[str]) -> None:
    """Removes images, and the file if none is left; nothing happens if it is not there.

    Raises:
        InputError: as of `add`.
    """
    if not path.exists():
        return
    images, blocks = _read(path)
    numbers = [images.pop(name)["id"] for name in gone if name in images]
    for number in numbers:
        blocks.pop(number, None)
    if not images:
        files.remove(path)
    elif numbers:
        _write(path, images, blocks)


def image_record(segmentation: "Segmentation", name: str) -> dict[str, Any]:
    """The image of a COCO file, without its id."""
    height, width = segmentation.shape
    file = os.path.basename(segmentation.file) or f"{name}.png"
    return {"file_name": file, "height": height, "width": width}


def measured(region: Region) -> dict[str, Any]:
    """What a COCO annotation says of a region beside its place: area, box and score."""
    top, left, bottom, right = region.box
    found: dict[str, Any] = {
        "area": region.area,
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": 0,
    }
    if region.agreement is not None:
        found["score"] = round(region.agreement, 4)
    return found


def _read(path: epath.Path) -> tuple[dict[str, dict[str, Any]], dict[int, bytes]]:
    """The images' records by name, and the line of annotations by the image's id."""
    if not path.exists():
        return {}, {}
    data = files.read_bytes(path)
    _, found, rest = data.partition(_IMAGES)
    listed, also_found, annotated = rest.partition(_ANNOTATIONS)
    try:
        if not found or not also_found or not annotated.endswith(_END):
            raise ValueError
        lines = annotated.removesuffix(_END).strip().split(b",\n")
        blocks = {int(line[len(_FIRST) :].partition(b",")[0]): line for line in lines if line}
        records = json.loads(b"[" + listed + b"]")
        return {record["name"]: record for record in records}, blocks
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path}: is no file of `bitdiff segment`, or was changed since; name another folder, "
            "or move it away"
        ) from None


def _write(
    path: epath.Path, images: Mapping[str, Mapping[str, Any]], blocks: Mapping[int, bytes]
) -> None:
    listed = ",\n".join(map(json.dumps, images.values())).encode()
    annotated = b",\n".join(blocks.values())
    parts = (_HEAD, _IMAGES, listed, _ANNOTATIONS, annotated, _END)
    files.write(path, b"\n".join(parts))
