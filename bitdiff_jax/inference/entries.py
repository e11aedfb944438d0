"""Which pictures a command line names, under which names their results go, and where to."""

import csv
import os
import pathlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.image_input import name_of

# What stands for the photographs that come with the package.
EXAMPLES = "examples"
_EXAMPLE_IMAGES = pathlib.Path(__file__).parents[1] / "example_images"


class Entry(NamedTuple):
    """A picture to segment."""

    file: str  # as given
    identity: str  # with which the names of its results begin


def list_entries(arguments: Sequence[str]) -> list[Entry]:
    """The pictures named by files and folders, each file once, each with an identity of its own.

    A folder stands for the picture files in it, by name, not for those in folders below; `examples`
    for the photographs that come with the package, unless something of that name is there. An
    identity is the file's stem; of the second with the same stem, STEM-2.

    Raises:
        InputError: a folder without pictures, or one that cannot be listed. Files are not opened:
            whether they can be read is told when they are.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        for file in _expand(argument):
            found.setdefault(os.path.realpath(file), file)
    entries: list[Entry] = []
    taken: set[str] = set()
    for file in found.values():
        stem = identity = name_of(file)
        number = 1
        # Some file systems do not tell upper from lower case.
        while identity.casefold() in taken:
            number += 1
            identity = f"{stem}-{number}"
        taken.add(identity.casefold())
        entries.append(Entry(file, identity))
    return entries


def _expand(argument: str) -> list[str]:
    path = epath.Path(argument)
    if argument == EXAMPLES and not path.exists():
        path = epath.Path(_EXAMPLE_IMAGES)
    try:
        if not path.is_dir():
            return [argument]
        found = sorted(
            os.fspath(file)
            for file in path.iterdir()
            if file.suffix.lower() in images.IMAGE_SUFFIXES and not file.name.startswith(".")
        )
    except OSError as error:
        raise InputError(
            f"{argument}: cannot be listed ({files.reason(error)}); check its permissions"
        ) from None
    if not found:
        endings = " ".join(sorted(images.IMAGE_SUFFIXES))
        raise InputError(f"{argument}: the folder holds no pictures; known endings are {endings}")
    return found


def make_folder(
    out: str, arguments: Sequence[str], entries: Sequence[Entry], suffixes: Collection[str]
) -> epath.Path:
    """Makes the folder for the results, once it is clear that they harm no picture.

    Args:
        out: where to.
        arguments: what `list_entries` was given.
        entries: what it returned.
        suffixes: of the results' names, after the identity of a picture.

    Raises:
        InputError: `out` is one of the folders of pictures, a result would overwrite a picture, the
            folder holds results of other pictures, or it cannot be made.
    """
    here = os.path.realpath(out)
    if any(os.path.isdir(each) and os.path.realpath(each) == here for each in arguments):
        raise InputError(
            f"--out {out}: is the folder of the pictures themselves; name another one, or the "
            "results would be pictures in the next run"
        )
    planned = {f"{entry.identity}{suffix}" for entry in entries for suffix in suffixes}
    planned.add(outputs.OVERVIEW)
    for entry in entries:
        folder, name = os.path.split(os.path.realpath(entry.file))
        if folder == here and name in planned:
            raise InputError(
                f"--out {out}: a result would overwrite the picture {entry.file}; "
                "name another folder"
            )
    _check_earlier(out, entries)
    return files.make_folder(out, "--out")


def _check_earlier(out: str, entries: Sequence[Entry]) -> None:
    """Refuses a folder whose images.csv tells of other pictures, whose rows would be lost."""
    table = epath.Path(files.at_home(out)) / outputs.IMAGES
    if not table.exists():
        return
    rows = csv.DictReader(files.read_text(table, errors="surrogateescape").splitlines())
    here = {entry.file for entry in entries}
    other = [row["file"] for row in rows if row.get("file") and row["file"] not in here]
    if other:
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        raise InputError(
            f"--out {out}: holds results of other pictures ({other[0]}{more}), whose rows in "
            f"{outputs.IMAGES} and {outputs.REGIONS} would be lost; name another folder, or remove "
            "this one"
        )
