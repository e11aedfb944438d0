"""Where a packed model goes, and whether something would be lost there."""

import os
import re
from typing import NamedTuple

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import model_files, weights_names

CONFIG = "config.json"
_LIKE_A_FILE = re.compile(r"\.[A-Za-z]\w{0,15}")  # '.txt', not '.5' of a version


class Target(NamedTuple):
    """Where a packed model goes."""

    out: str  # as it was given, for messages
    file: epath.Path  # the model's file
    is_folder: bool  # whether `out` is the folder around it, which gets more


def find(out: epath.PathLike) -> Target:
    """What `out` means: a file, or a folder around one.

    Raises:
        InputError: it is empty, ends like a file of another kind, or is a file where a folder is
            meant or the other way round.
    """
    text = os.fspath(out)
    if not text:  # such as a shell's variable that is not set
        raise InputError("--out is empty; name a file that ends in .safetensors, or a folder")
    place = epath.Path(files.at_home(text))
    said_folder = text.endswith(("/", os.sep))
    if place.suffix == weights_names.ENDING and not said_folder:
        if place.is_dir():
            raise InputError(f"--out {text}: is a folder; write {text}/ to pack into it")
        return Target(text, place, is_folder=False)
    if not said_folder and _LIKE_A_FILE.fullmatch(place.suffix) and not place.is_dir():
        name = place.with_suffix(weights_names.ENDING).name
        raise InputError(
            f"--out {text}: a model's file ends in {weights_names.ENDING}; name it {name}, or "
            f"write {text}/ for a folder"
        )
    return Target(text, place / weights_names.FILE, is_folder=True)


def check(target: Target, about: model_files.About) -> model_files.About | None:
    """What the file that is there says of its model, if it may be replaced; None without one.

    A file may be replaced by one of the same training, which has the same config.

    Args:
        target: where the model goes.
        about: what its file will say.

    Raises:
        InputError: something else is there, which would be lost or be taken for the model.
    """
    folder = target.file.parent
    if target.is_folder and weights_names.is_training(folder):
        raise InputError(
            f"--out {target.out}: is the folder of a training, for which it would still be taken; "
            "name another folder"
        )
    if not target.file.exists():
        if target.is_folder and (folder / CONFIG).exists():
            raise InputError(
                f"--out {target.out}: holds a {CONFIG} and no {weights_names.FILE}, so that it is "
                "of something else; name another folder, or remove it"
            )
        return None
    try:
        _, there = model_files.read(target.file)
    except InputError as error:
        raise InputError(
            f"--out {target.out}: something else is there ({error}); name another one, or remove it"
        ) from None
    if there.config != about.config:
        raise InputError(
            f"--out {target.out}: holds the model of another training (step {there.step}, trained "
            f"on: {there.trained_on or 'unsaid'}); name another one, or remove it"
        )
    return there
