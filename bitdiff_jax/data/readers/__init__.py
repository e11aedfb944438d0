"""Readers of data sets as their authors ship them, by kind.

    reader = readers.make("cityscapes", "/data/cityscapes", "train", stuff="connected")
    reader[0]  # {'name': ..., 'image': ..., 'labels': (...,)}

What a reader is: `bitdiff_jax.data.readers.dataset.Reader`. A kind's module, and the libraries it
needs, are imported when the kind is used.
"""

import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bitdiff_jax import files
from bitdiff_jax.data.readers.dataset import Reader, splits
from bitdiff_jax.errors import InputError, did_you_mean

__all__ = [
    "READERS",
    "Reader",
    "check_options",
    "implied_options",
    "make",
    "reader_class",
    "splits",
]

_HERE = "bitdiff_jax.data.readers"
# Kind -> module:class.
READERS: dict[str, str] = {
    "folder": "bitdiff_jax.data.folder:FolderSource",
    "masks": f"{_HERE}.masks:MasksReader",
    "entityseg": f"{_HERE}.entityseg:EntitySegReader",
    "coco_panoptic": f"{_HERE}.coco_panoptic:CocoPanopticReader",
    "coco_instances": f"{_HERE}.coco_instances:CocoInstancesReader",
    "bsds500": f"{_HERE}.bsds500:BSDS500Reader",
    "ade20k": f"{_HERE}.ade20k:ADE20KReader",
    "cityscapes": f"{_HERE}.cityscapes:CityscapesReader",
    "voc": f"{_HERE}.voc:VOCReader",
    "tfds": f"{_HERE}.tfds_source:TFDSReader",
    "records": "bitdiff_jax.data.records.record_source:RecordSource",
}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def reader_class(kind: str) -> Any:
    """The class that reads a kind; the part of it after a colon, as in 'tfds:NAME', plays no part.

    Raises:
        InputError: an unknown kind.
    """
    name = kind.partition(":")[0]
    if name not in READERS or (name != kind and name != "tfds"):
        raise InputError(f"unknown kind of data {kind!r}; known are {', '.join(READERS)}")
    module, _, attribute = READERS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def implied_options(kind: str) -> dict[str, str]:
    """The options that a kind names itself: {'name': 'voc'} for 'tfds:voc'."""
    name = kind.partition(":")[2]
    return {"name": name} if name else {}


def make(kind: str, root: os.PathLike | str, split: str | None = None, **options: Any) -> Reader:
    """Opens a data set.

    Args:
        kind: a key of `READERS`, or 'tfds:NAME'.
        root: where it lies; `~` is the home folder.
        split: one of its splits; None for all of it.
        options: the reader's own; numbers and truth values may be text, as on a command line.

    Raises:
        InputError: an unknown kind, option or split, or what the reader says of its files.
    """
    reader = reader_class(kind)
    known = {
        name: parameter
        for name, parameter in inspect.signature(reader).parameters.items()
        if name not in ("root", "split")
    }
    check_options(kind, options, ("split", *known))
    for name, value in options.items():
        options[name] = _typed(kind, name, value, known[name].default)
    return reader(files.at_home(root), split, **{**options, **implied_options(kind)})


def check_options(kind: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuses an option that a kind of data does not have.

    Args:
        kind: of the data.
        options: their values by name.
        known: names of the options that the kind has.

    Raises:
        InputError: it names the option, all that there are, and the one that may be meant.
    """
    for name, value in options.items():
        if name not in known:
            raise InputError(
                f"data: {kind} has no option {name}={value}; its options are {', '.join(known)}"
                f"{did_you_mean(name, known)}"
            )


def _typed(kind: str, name: str, value: Any, default: Any) -> Any:
    """A text as the type of the option's default."""
    if not isinstance(value, str) or not isinstance(default, bool | int):
        return value
    if isinstance(default, bool):
        if value.lower() not in _TRUTH:
            raise InputError(f"{kind}: {name}={value} is not true or false")
        return _TRUTH[value.lower()]
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{kind}: {name}={value} is not a whole number") from None
