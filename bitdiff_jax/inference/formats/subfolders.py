"""Folders within the folder of the results, which some tools want for themselves."""

import contextlib
from collections.abc import Iterable

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError


def remove_files(folder: epath.Path, names: Iterable[str]) -> None:
    """Removes files of a folder, and the folder too if it is then empty.

    Args:
        folder: it need not exist.
        names: of files; those that are not there are passed over.

    Raises:
        InputError: a file cannot be removed.
    """
    if folder.exists():
        for name in names:
            files.remove(folder / name)
        remove_if_empty(folder)


def check_free(path: epath.Path, told_in: str) -> None:
    """Raises InputError if there is a file that a new one would overwrite.

    Args:
        path: of the new file.
        told_in: name of the file that tells of those that may be overwritten, not of this one.
    """
    if path.exists():
        raise InputError(
            f"{path}: is there, and {told_in} does not tell of it; name another folder, or "
            "remove it"
        )


def remove_if_empty(folder: epath.Path) -> None:
    """Removes a folder that is there and holds nothing."""
    # Not there, not empty, or in a bucket, where folders are names.
    with contextlib.suppress(OSError, ValueError):
        folder.rmdir()
