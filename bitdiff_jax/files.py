"""Folders made and files written whole, on a disk or in a bucket."""

import contextlib
import os

from etils import epath

from bitdiff_jax.errors import InputError


def make_folder(path: epath.PathLike, argument: str) -> epath.Path:
    """Makes a folder, and those above it, unless it is there.

    Args:
        path: the folder.
        argument: what named it, for the message: '--out', '--workdir'.

    Raises:
        InputError: it cannot be made.
    """
    folder = epath.Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{argument} {path}: is a file or inside one; name a folder") from None
    except OSError as error:
        raise InputError(
            f"{argument} {path}: cannot be made ({reason(error)}); name another folder"
        ) from None
    return folder


def write(path: epath.PathLike, data: bytes) -> None:
    """Writes a whole file or, if stopped or out of space, leaves what was there.

    The bytes go to another name beside it, which is renamed when it is whole.

    Raises:
        InputError: the place cannot be written.
    """
    path = epath.Path(path)
    partial = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            partial.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({reason(error)}); free space, or name another folder"
        ) from None


def reason(error: OSError) -> str:
    """Why, in the system's words."""
    return error.strerror or type(error).__name__
