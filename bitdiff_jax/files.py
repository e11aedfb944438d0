"""Folders made, files written whole and texts read, on a disk or in a bucket."""

import codecs
import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from etils import epath

from bitdiff_jax.errors import InputError

# Byte order marks at the beginning of a text file, and their encodings; the longer ones first.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

# Name of a file that is being written, by `write` or as a shard: its own, and the process's number.
PARTIAL = re.compile(r"\.(.+)\.\d+\.tmp")

# What helps where a place cannot be written.
_REMEDIES = {
    errno.ENOSPC: "free space, or name another folder",
    errno.EDQUOT: "free space, or name another folder",
    errno.EACCES: "change its permissions, or name another folder",
    errno.EPERM: "change its permissions, or name another folder",
    errno.EROFS: "name a folder on a disk that can be written",
    errno.ENAMETOOLONG: "use shorter names",
}


def at_home(path: epath.PathLike) -> str:
    """The path, with `~` or `~user` at its beginning replaced by the home folder."""
    return os.path.expanduser(os.fspath(path))


def make_folder(path: epath.PathLike, argument: str) -> epath.Path:
    """Makes a folder, and those above it, unless it is there.

    Args:
        path: the folder.
        argument: the option that named it, for the message: '--out', '--workdir'.

    Raises:
        InputError: it has no name, or cannot be made.
    """
    if not os.fspath(path):  # such as a shell's variable that is not set
        raise InputError(f"{argument} is empty; name a folder")
    folder = epath.Path(at_home(path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{argument} {path}: is a file or inside one; name a folder") from None
    except OSError as error:
        raise InputError(
            f"{argument} {path}: cannot be made ({reason(error)}); name another folder"
        ) from None
    return folder


def listed(folder: epath.PathLike) -> list[epath.Path]:
    """What is in a folder, sorted by name; nothing if it is not there.

    A folder in a bucket is there only once a file is.
    """
    try:
        return sorted(epath.Path(folder).iterdir(), key=os.fspath)
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def no_empty_folder(path: epath.PathLike | None) -> Iterator[None]:
    """Removes the folder at the end, and those above it, if they were made meanwhile and are empty.

    A command that fails then leaves no folder behind that looks like results.

    Args:
        path: the folder; None, and one in a bucket, where folders are names, for nothing to do.
    """
    made = []
    if path and "://" not in os.fspath(path):
        folder = pathlib.Path(at_home(path)).absolute()
        made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty, or never made
            for each in made:
                each.rmdir()


def write(path: epath.PathLike, data: bytes) -> None:
    """Writes a whole file or, if it is stopped or out of space, leaves the file that was there.

    The bytes go to a file of another name beside it, which is renamed when it is whole.

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
        raise InputError(f"{path}: cannot be written ({reason(error)}); {remedy(error)}") from None


def remove(path: epath.PathLike) -> None:
    """Removes a file, if it is there.

    Raises:
        InputError: it is there and cannot be removed.
    """
    try:
        epath.Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be removed ({reason(error)}); {remedy(error)}") from None


@contextlib.contextmanager
def sole_writer(folder: epath.PathLike, argument: str) -> Iterator[None]:
    """Keeps other processes that ask for the same out of a folder.

    The lock is the system's, on the folder itself: it leaves no file, and ends with the process.

    Args:
        folder: the folder, which exists.
        argument: the option that named it, for the message.

    Raises:
        InputError: there is another writer. In buckets, and file systems without locks, this is not
            noticed.
    """
    with contextlib.ExitStack() as stack:
        if "://" not in os.fspath(folder):
            opened = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, opened)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{argument} {folder}: another process is writing there; wait for its end, or "
                    "name another folder"
                ) from None
            except OSError:  # a file system without locks
                pass
        yield


def read_bytes(path: epath.PathLike) -> bytes:
    """Reads a file.

    Raises:
        InputError: the file is not there or cannot be read.
    """
    try:
        return epath.Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({reason(error)}); check its permissions"
        ) from None


def read_text(path: epath.PathLike, *, errors: str = "strict") -> str:
    """Reads a text file: UTF-8 with or without a byte order mark, UTF-16 or UTF-32 with one.

    Args:
        path: the file.
        errors: what to do with bytes that are not text, as for `bytes.decode`.

    Raises:
        InputError: the file is not there, cannot be read or is not text.
    """
    data = read_bytes(path)
    encoding = next((_MARKS[mark] for mark in _MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding, errors)
        if "\0" in text:
            raise ValueError
    except ValueError:
        raise InputError(f"{path}: is not text in UTF-8; save it as UTF-8") from None
    return text


def read_json(path: epath.PathLike, remedy: str = "correct it") -> Any:
    """The value in a small JSON file, read as `read_text` reads texts.

    Args:
        path: the file.
        remedy: what to do about a file that is not JSON.

    Raises:
        InputError: the file cannot be read by `read_text`, or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not valid JSON ({detail}); {remedy}") from None


def reason(error: OSError) -> str:
    """Why a file could not be used, in the operating system's words."""
    return error.strerror or type(error).__name__


def remedy(error: OSError) -> str:
    """What helps where a place cannot be written, as the end of a message."""
    return _REMEDIES.get(error.errno or 0, "name another folder")
