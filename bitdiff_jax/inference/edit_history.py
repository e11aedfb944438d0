"""The file in which the edits of an image are kept."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

FORMAT = "bitdiff_jax edits 1"
_KEYS = {"image_sha256": str, "name": str, "settings": dict, "edits": list}


def digest(image: np.ndarray) -> str:
    """The SHA-256 of an image's shape and pixels, as text."""
    shape = np.array(image.shape, np.int64).tobytes()
    return hashlib.sha256(shape + np.ascontiguousarray(image).tobytes()).hexdigest()


def read(path: epath.PathLike) -> dict[str, Any]:
    """What `Editor.save` wrote.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    found = files.read_json(path)
    if (
        not isinstance(found, dict)
        or found.get("format") != FORMAT
        or not all(isinstance(found.get(key), kind) for key, kind in _KEYS.items())
        or not all(isinstance(edit, dict) for edit in found["edits"])
    ):
        raise InputError(f"{path}: is no history of edits; give a file that Editor.save wrote")
    return found


def write(path: epath.PathLike, history: Mapping[str, Any]) -> None:
    """Writes a history as JSON.

    Args:
        path: the file.
        history: values that JSON has, of NumPy's numbers as well.

    Raises:
        InputError: the file cannot be written.
    """
    text = json.dumps({"format": FORMAT, **history}, indent=1, default=np.generic.item)
    files.write(path, (text + "\n").encode())
