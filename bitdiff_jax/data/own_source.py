"""Sources of other people's code: `package.module:function` in the place of a kind."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from bitdiff_jax import extensions
from bitdiff_jax.data.labelmaps import IGNORE
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.errors import InputError


def open_own(reference: str, options: Mapping[str, str], text: str) -> Source:
    """Calls the function, or the class, and checks the first item of what it gives.

    The source is used as it is: it is not kept in memory, as a reader's images are. Wrap it in
    `bitdiff_jax.data.resident.Resident` where reading an item costs more than a training step.

    Args:
        reference: `package.module:name`.
        options: keyword arguments for it, as text.
        text: the spec that names it, for messages.

    Raises:
        InputError: it cannot be imported or called with these options, or what it gives is no
            `Source`.
    """
    make = extensions.resolve(reference, "data")
    try:
        inspect.signature(make).bind(**options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"data: {text!r}: {reference} does not take these options: {error}"
        ) from None
    try:
        source: Source = make(**options)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"data: {text!r} failed: {extensions.failure(error)}") from error
    check_source(source, text)
    return source


def check_source(source: Any, name: str) -> None:
    """Holds a source against what `pipeline.Source` promises, by its first item.

    Args:
        source: the object.
        name: what to call it in messages.

    Raises:
        InputError: it has no length or no items, or its first item is not of the stated form.
    """
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise InputError(
            f"data: {name!r} gave {type(source).__name__}, which has no len() or no [index]; see "
            "bitdiff_jax.data.pipeline.Source"
        )
    if not len(source):
        raise InputError(f"data: {name!r} holds no images")
    try:
        item = source[0]
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"data: item 0 of {name!r}: {extensions.failure(error)}") from error
    if not isinstance(item, Mapping):
        raise InputError(
            f"data: item 0 of {name!r} is {type(item).__name__}; it must be a dict with 'name', "
            "'image' and 'labels'"
        )
    if missing := [key for key in ("name", "image", "labels") if key not in item]:
        raise InputError(f"data: item 0 of {name!r} has no {', '.join(map(repr, missing))}")
    if not isinstance(item["name"], str):
        raise InputError(f"data: 'name' of item 0 of {name!r} is no str: {item['name']!r}")
    image = np.asarray(item["image"])
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"data: 'image' of item 0 of {name!r} is {image.dtype} {list(image.shape)}; it must be "
            "uint8 [h, w, 3]"
        )
    maps = item["labels"]
    if not isinstance(maps, tuple) or not maps:
        raise InputError(
            f"data: 'labels' of item 0 of {name!r} is no tuple of label maps, one for each "
            "annotator"
        )
    for label_map in map(np.asarray, maps):
        if label_map.dtype != np.int32 or label_map.shape != image.shape[:2]:
            raise InputError(
                f"data: a label map of item 0 of {name!r} is {label_map.dtype} "
                f"{list(label_map.shape)}; it must be int32 {list(image.shape[:2])}, ids from 0 on "
                "and -1 for ignored pixels"
            )
        if label_map.size and label_map.min() < IGNORE:
            raise InputError(
                f"data: a label map of item 0 of {name!r} holds {label_map.min()}; ids begin at 0, "
                "and -1 is an ignored pixel"
            )
