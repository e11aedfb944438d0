"""Which pictures a command line names, and under which names their results go."""

import os
import pathlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.image_input import name_of

# What stands for the photographs that come with the package.
EXAMPLES = "examples"
EXAMPLE_IMAGES = pathlib.Path(__file__).parents[1] / "example_images"
_MOST_ENDINGS = 5  # that a line names


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
        InputError: an empty name, a folder without pictures, or one that cannot be listed. Files
            are not opened: whether they can be read is told when they are.
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


def unread(argument: str) -> str:
    """What a folder holds beside the pictures that `list_entries` takes of it, in a few words.

    Hidden files and those of the system itself do not count. '' for a file, for a folder of which
    nothing is left out, and for `examples`.

    Raises:
        InputError: the folder cannot be listed.
    """
    folder = _folder(argument)
    if folder is None or folder == epath.Path(EXAMPLE_IMAGES):
        return ""
    others = [epath.Path(each) for each in _list(folder)[1]]
    files_there = [each for each in others if not each.is_dir()]
    parts = [
        f"{count} {noun}{'s' if count > 1 else ''}"
        for count, noun in (
            (len(files_there), "other file"),
            (len(others) - len(files_there), "folder"),
        )
        if count
    ]
    if not parts:
        return ""
    endings = sorted({each.suffix.lower() or "no ending" for each in files_there})
    shown = ", ".join(endings[:_MOST_ENDINGS] + ["..."] * (len(endings) > _MOST_ENDINGS))
    verb = "is" if len(others) == 1 else "are"
    return f"{' and '.join(parts)} {verb} not read" + (f" ({shown})" if shown else "")


def check_there(arguments: Sequence[str]) -> None:
    """Raises InputError if one of several files and folders does not exist.

    Without shards a missing file is told and left out like one that cannot be read. A share that
    was begun with it would be of other pictures than the one that was meant.
    """
    for argument in arguments:
        if _folder(argument) is None and not epath.Path(argument).exists():
            raise InputError(f"{argument}: no such file or folder; check the path")


def _expand(argument: str) -> list[str]:
    if not argument:  # such as a shell's variable that is not set
        raise InputError("a picture's name is empty; name an image file, or a folder of them")
    folder = _folder(argument)
    if folder is None:
        return [argument]
    found = _list(folder)[0]
    if not found:
        endings = " ".join(sorted(images.IMAGE_SUFFIXES))
        others = unread(argument)
        raise InputError(
            f"{argument}: the folder holds no pictures{others and f', and {others}'}; known "
            f"endings are {endings}"
        )
    return found


def _folder(argument: str) -> epath.Path | None:
    """The folder that is meant; None for a file, and for what is not there."""
    path = epath.Path(argument)
    try:
        if argument == EXAMPLES and not path.exists():
            path = epath.Path(EXAMPLE_IMAGES)
        return path if path.is_dir() else None
    except OSError as error:
        raise _no_list(argument, error) from None


def _list(folder: epath.Path) -> tuple[list[str], list[str]]:
    """The picture files of a folder, and what else it holds, by name.

    As texts, since a million path objects take twice the time.
    """
    try:
        there = sorted(os.fspath(each) for each in folder.iterdir())
    except OSError as error:
        raise _no_list(folder, error) from None
    pictures: list[str] = []
    others: list[str] = []
    for file in there:
        name = os.path.basename(file)
        if not file_names.is_litter(name):
            known = os.path.splitext(name)[1].lower() in images.IMAGE_SUFFIXES
            (pictures if known else others).append(file)
    return pictures, others


def _no_list(folder: epath.PathLike, error: OSError) -> InputError:
    return InputError(
        f"{os.fspath(folder)}: cannot be listed ({files.reason(error)}); check its permissions"
    )


def check_folder(
    out: str, arguments: Sequence[str], entries: Sequence[Entry], suffixes: Collection[str]
) -> None:
    """Makes sure that the results harm no picture.

    Args:
        out: the folder of the results.
        arguments: what `list_entries` was given.
        entries: what it returned.
        suffixes: ends of all names that results may have, after the identity of a picture.

    Raises:
        InputError: `out` is one of the folders of pictures, or a result would overwrite a picture.
    """
    here = os.path.realpath(files.at_home(out))
    if any(os.path.isdir(each) and os.path.realpath(each) == here for each in arguments):
        raise InputError(
            f"--out {out}: is the folder of the pictures themselves; name another one, or the "
            "results would be pictures in the next run"
        )
    pictures_here = {}
    for entry in entries:
        folder, name = os.path.split(os.path.realpath(entry.file))
        if folder == here:
            pictures_here[name] = entry.file
    if not pictures_here:  # the names of all results of a million pictures would fill a memory
        return
    planned = {f"{entry.identity}{suffix}" for entry in entries for suffix in suffixes}
    planned.add(outputs.OVERVIEW)
    for name in pictures_here.keys() & planned:
        raise InputError(
            f"--out {out}: a result would overwrite the picture {pictures_here[name]}; "
            "name another folder"
        )
