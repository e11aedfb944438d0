"""The file of one shard, of records or of features: written whole or not at all, and checked."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from array_record.python import array_record_module
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data.records import folder_layout
from bitdiff_jax.errors import InputError

# One image a group, which is what is read at a time. JPEG, PNG and features hardly compress.
_WRITE_OPTIONS = "group_size:1,uncompressed"
# Random access gains nothing from reading ahead.
_READ_OPTIONS = "readahead_buffer_size:0"
_BUFFER = 2**15

# What array_record raises for files that are damaged or absent.
READ_ERRORS = (RuntimeError, IndexError, ValueError, OSError)


@contextlib.contextmanager
def partial(out: epath.Path, name: str) -> Iterator[pathlib.Path]:
    """A local file to write to, which is gone afterwards unless it was renamed.

    Args:
        out: the folder of the shard, perhaps in a bucket.
        name: the shard's final name.
    """
    with contextlib.ExitStack() as stack:
        if folder_layout.is_local(out):
            folder = pathlib.Path(out)
        else:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = folder / f".{name}.{os.getpid()}.tmp"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def writer(path: pathlib.Path, out: os.PathLike | str) -> Iterator[Callable[[bytes], None]]:
    """A function that appends a record to a new shard.

    Args:
        path: the local file.
        out: the folder that a message names.

    Raises:
        InputError: the file cannot be written, for want of space perhaps.
    """
    with _one_line(out):
        shard = array_record_module.ArrayRecordWriter(str(path), _WRITE_OPTIONS)

    def write(record: bytes) -> None:
        with _one_line(out):
            shard.write(record)

    try:
        yield write
    except BaseException:
        with contextlib.suppress(RuntimeError):  # the first error is the one to tell
            shard.close()
        raise
    with _one_line(out):
        shard.close()


@contextlib.contextmanager
def _one_line(out: os.PathLike | str) -> Iterator[None]:
    """Errors of array_record as one line: they are RuntimeErrors, whatever the cause."""
    try:
        yield
    except RuntimeError as error:
        raise _cannot_be_written(out, str(error).split(";")[0]) from None


def _cannot_be_written(path: os.PathLike | str, reason: str) -> InputError:
    return InputError(
        f"{os.fspath(path)}: cannot be written ({reason}); free space, or check its rights, and "
        "run the same command again: finished shards are kept"
    )


def publish(partial: pathlib.Path, final: epath.Path) -> None:
    """Gives a whole shard its final name.

    Raises:
        InputError: the file cannot be kept there.
    """
    try:
        if folder_layout.is_local(final):
            # After a power cut too, a file with this name is to be whole.
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, final)
        else:
            beside = final.parent / partial.name
            epath.Path(partial).copy(beside, overwrite=True)
            beside.replace(final)
    except OSError as error:
        raise _cannot_be_written(final, files.reason(error)) from None


def open_reader(path: os.PathLike | str) -> Any:
    """The array_record reader of a local shard.

    Raises:
        RuntimeError, OSError: the shard is damaged or not there.
    """
    # An absent file would be opened without a word, and every read would find nothing.
    if not os.path.isfile(path):
        raise OSError("no such file")
    return array_record_module.ArrayRecordReader(
        os.fspath(path), options=_READ_OPTIONS, file_reader_buffer_size=_BUFFER
    )


def damage(path: os.PathLike | str, num_records: int) -> str:
    """Reads a local shard through, at some GB a second where the disk allows it.

    Args:
        path: the shard.
        num_records: how many records it has to have.

    Returns:
        What is wrong with it; '' for nothing.
    """
    try:
        reader = open_reader(path)
        found = reader.num_records()
        if found != num_records:
            return f"it has {found} records, not {num_records}"
        for index in range(found):  # one at a time: features of a shard may be large
            reader.read([index])  # compares the hash that stands beside each
    except READ_ERRORS as error:
        return str(error).split(";")[0]
    return ""
