"""The file of a trained model: one safetensors file, the same in the package, on disk and on a hub.

Its tensors are called 'net/...', 'features/...' (the stem of an encoder's features) and, if the
encoder was tuned, 'encoder/...'. Everything else that a user of the model needs is in the file's
metadata, see `About`. A frozen encoder is not in the file, which names it and the hash of its
weights instead.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import eight_bits
from bitdiff_jax.nets.encoders import weights_hash

FORMAT = "bitdiff_jax.model"
VERSION = 2
PARAM_SETS = ("ema", "raw")
_HASHES = ("sha256", "metadata_sha256")


@dataclasses.dataclass(frozen=True)
class About:
    """What a file says of its model.

    Attributes:
        config: the training's config, as JSON has it.
        step: training steps taken.
        trained_on: the kind of images, in words; '' if the training did not say.
        param_set: 'ema' or 'raw', which parameters of the training these are.
        encoder: name of the image encoder; '' without one.
        encoder_hash: hash of a frozen encoder's weights; '' without one.
        licence: terms of use that come from the training data, in one line; '' if there are none.
        data_sets: the data sets, with their own licences if need be; '' if nobody said.
        own_model: whether the model was given in Python, so that the config does not describe it.
    """

    config: dict[str, Any]
    step: int
    trained_on: str = ""
    param_set: str = "ema"
    encoder: str = ""
    encoder_hash: str = ""
    licence: str = ""
    data_sets: str = ""
    own_model: bool = False


def write(path: epath.PathLike, tensors: Mapping[str, np.ndarray], about: About) -> None:
    """Writes a model's file, whole or not at all.

    Args:
        path: the file.
        tensors: arrays by name, in the dtypes in which they are stored.
        about: what the file says of its model.

    Raises:
        InputError: the place cannot be written.
    """
    said = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in dataclasses.asdict(about).items()
    }
    said |= {"format": FORMAT, "format_version": str(VERSION)}
    hashes = {"sha256": weights_hash(tensors), "metadata_sha256": metadata_hash(said)}
    weights_files.write(path, tensors, said | hashes)


def metadata_hash(metadata: Mapping[str, str]) -> str:
    """The SHA-256 of a file's metadata, in hexadecimal: all of it but the hashes.

    It is that of the JSON text of one object with sorted keys, ASCII and Python's separators.

    Args:
        metadata: texts by name; the hashes among them are left out.
    """
    hashed = {name: text for name, text in metadata.items() if name not in _HASHES}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def read(path: epath.PathLike) -> tuple[Mapping[str, np.ndarray], About]:
    """The tensors of a model's file and what it says of its model.

    Tensors have the file's dtypes, but for those that it has in 8 bits, which are float32.

    Raises:
        InputError: the file cannot be read, is cut short, holds something other than a model, is of
            another version, or its tensors or its metadata are not those that it was written with.
    """
    file = weights_files.read(path)
    metadata = dict(file.metadata)
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"weights {path}: holds no model of bitdiff_jax, only {len(file.tensors)} tensors; "
            "give a file that `bitdiff pack` wrote, or copy it again"
        )
    try:
        version = int(metadata["format_version"])
        about = _checked(metadata, file.tensors) if version == VERSION else None
        tensors = {} if about is None else eight_bits.restored(file.tensors)
    except (KeyError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise InputError(f"weights {path}: is damaged ({reason}); fetch or copy it again") from None
    if about is None:
        raise InputError(
            f"weights {path}: has version {version} of the format, this version of bitdiff_jax "
            f"reads {VERSION}; install one that is as old or new as the file, or copy it again"
        )
    return tensors, about


def _checked(metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray]) -> About:
    """What a file says of its model, once its hashes are right.

    Raises:
        KeyError: an entry is missing.
        ValueError: an entry is not what it should be; the text says which.
    """
    of_tensors, of_metadata = weights_hash(dict(tensors)), metadata_hash(metadata)
    stated = {name: metadata[name] for name in _HASHES}
    found = {"sha256": of_tensors, "metadata_sha256": of_metadata}
    for name, part in zip(_HASHES, ("tensors have", "metadata has"), strict=True):
        if found[name] != stated[name]:
            raise ValueError(
                f"its {part} the hash {found[name][:12]}, not {stated[name][:12]} as when written"
            )
    said: dict[str, Any] = {
        each.name: metadata[each.name] if each.type is str else json.loads(metadata[each.name])
        for each in dataclasses.fields(About)
    }
    about = About(**said)
    for name, is_right, kind in (
        ("config", isinstance(about.config, dict), "a JSON object"),
        ("step", type(about.step) is int and about.step >= 0, "a whole number of 0 or more"),
        ("param_set", about.param_set in PARAM_SETS, f"one of {', '.join(PARAM_SETS)}"),
        ("own_model", isinstance(about.own_model, bool), "true or false"),
    ):
        if not is_right:
            raise ValueError(f"{name} is {metadata[name][:40]!r}, not {kind}")
    return about


def is_model(path: os.PathLike | str) -> bool:
    """Whether a safetensors file on a disk says that it is a model's; its tensors are not read."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            metadata = json.loads(file.read(length)).get("__metadata__", {})
    except (OSError, ValueError, OverflowError, MemoryError, AttributeError):
        return False
    return isinstance(metadata, dict) and metadata.get("format") == FORMAT
