"""Reads prepared records."""

import bisect
import copy
import errno
import hashlib
import itertools
import json
import os
import pathlib
import threading
from collections.abc import Sequence
from typing import Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data.records import folder_layout, schema, shard_files
from bitdiff_jax.errors import InputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RecordSource:
    """Random access to a folder that `bitdiff prepare` has written.

    `source[i]` is a pure function of i:

        {'name': str, 'image': uint8 [h, w, 3], 'labels': tuple of int32 [h, w]}

    at the size they were prepared at, ids >= 0 and -1 = ignore. Nothing is kept in memory. Shards
    are opened when they are first read, in each process anew. Those of a bucket are copied to
    BITDIFF_CACHE_DIR or ~/.cache/bitdiff_jax then.

    Attributes:
        size: the longest side that is kept; 0: no picture was shrunk.
        unlabelled: what pixels without a region were taken for, and why.
        digest: of all records, in hexadecimal; one for each split.
        max_annotators: the most label maps that one picture has.
        has_background: whether id 0 is the background of every label map.
    """

    def __init__(self, root: os.PathLike | str, split: str | None = None):
        """Reads the index of the folder.

        Args:
            root: the folder, perhaps in a bucket.
            split: one of `RecordSource.splits(root)`; None for all, one after the other.

        Raises:
            InputError: not a prepared folder, or an unfinished one; an unknown split.
        """
        self.root = os.fspath(root)
        self.split = split
        index = _read_index(epath.Path(root))
        known = index["splits"]
        if split is not None and split not in known:
            kind = str(index["parameters"]["kind"])
            raise InputError(f"{root}: has no split {split!r}; {_instead(known, kind)}")
        parts = list(known.values()) if split is None else [known[split]]
        self.unlabelled = str(index["unlabelled"])
        self.has_background = bool(index.get("has_background"))  # not in older ones
        self.size = int(index["parameters"]["size"])
        self.digest = " ".join(part["digest"] for part in parts)
        self.max_annotators = max(int(part["max_annotators"]) for part in parts)
        shards = [shard for part in parts for shard in part["shards"] if shard["records"]]
        self._files = [str(shard["file"]) for shard in shards]
        self._statistics = [str(shard["figures"]) for shard in shards]
        self._ends = list(itertools.accumulate(int(shard["records"]) for shard in shards))
        self._open_nothing()

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The splits of a prepared folder, in the order they were asked for."""
        return tuple(_read_index(epath.Path(root))["splits"])

    def shards(self) -> list[tuple[str, int, int]]:
        """Name of each shard's file, and the range of the pictures in it."""
        return list(zip(self._files, [0, *self._ends], self._ends, strict=False))

    def beside(self, root: str) -> "RecordSource":
        """The records of the same number in the shards of the same names in another folder."""
        other = copy.copy(self)
        other.root = root
        # Copies from a bucket go by the digest, and these shards have the records' names.
        other.digest = f"{self.digest} {root.rpartition('/')[2]}"
        other._open_nothing()
        return other

    def _open_nothing(self) -> None:
        self._readers: dict[int, Any] = {}
        self._names: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_readers", "_names", "_lock"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open_nothing()

    def __len__(self) -> int:
        return self._ends[-1]

    def __repr__(self) -> str:
        return (
            f"RecordSource({self.root!r}, {self.split!r}, {len(self)} pictures, "
            f"size {self.size}, {self.digest[:12]})"
        )

    @property
    def definition(self) -> str:
        """What determines the items: their size and a digest of all records, not their place."""
        return f"records size={self.size} {self.digest}"

    @property
    def names(self) -> Sequence[str]:
        """All names, in order; read from small files beside the shards."""
        if self._names is None:
            names: list[str] = []
            try:
                for file in self._statistics:
                    path = epath.Path(self.root) / folder_layout.PROGRESS / file
                    names += json.loads(path.read_text(encoding="utf-8"))["names"]
            except (OSError, ValueError, KeyError):  # they are in the records too
                names = [self._decode(index)["name"] for index in range(len(self))]
            self._names = tuple(names)
        return self._names

    def region_counts(self) -> list[int] | None:
        """The regions of each label map, counted when it was prepared; None if that is lost."""
        counts: list[int] = []
        try:
            for file in self._statistics:
                text = (epath.Path(self.root) / folder_layout.PROGRESS / file).read_text()
                counts += [n for maps in json.loads(text)["regions"] for n in maps]
        except (OSError, ValueError, KeyError):
            return None
        return counts

    def ignored_share(self) -> float | None:
        """The share of ignored pixels in all label maps, as `region_counts`."""
        labelled = pixels = 0
        try:
            for file in self._statistics:
                text = (epath.Path(self.root) / folder_layout.PROGRESS / file).read_text()
                statistics = json.loads(text)
                labelled += statistics["labelled"]
                pixels += statistics["pixels"]
        except (OSError, ValueError, KeyError):
            return None
        return 1 - labelled / pixels if pixels else None

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self._decode(index)
        return {key: item[key] for key in ("name", "image", "labels")}

    def record(self, index: int) -> bytes:
        """The serialised record.

        Raises:
            InputError: the shard is missing or damaged.
        """
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} pictures")
        number = bisect.bisect_right(self._ends, index)
        start = self._ends[number - 1] if number else 0
        try:
            return self._reader(number).read([index - start])[0]
        except InputError:
            raise
        except shard_files.READ_ERRORS as error:
            raise InputError(
                f"{self._path(number)}: record {index - start} cannot be read "
                f"({str(error).split(';')[0]}); copy the file again, or remove it and prepare again"
            ) from None

    def _decode(self, index: int) -> dict[str, Any]:
        record = self.record(index)
        try:
            return schema.decode(record)
        except InputError as error:
            raise InputError(f"{self!r}, picture {index}: {error}") from None

    def _path(self, number: int) -> str:
        return os.fspath(epath.Path(self.root) / self._files[number])

    def _reader(self, number: int) -> Any:
        reader = self._readers.get(number)
        if reader is None:
            with self._lock:
                reader = self._readers.get(number)
                if reader is None:
                    path = _local_copy(self._path(number), self.digest)
                    reader = shard_files.open_reader(path)
                    self._readers[number] = reader
        return reader


def _read_index(root: epath.Path) -> dict[str, Any]:
    path = root / folder_layout.INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        version = index["version"]
    except OSError:
        if (root / folder_layout.PROGRESS / folder_layout.PARAMETERS).exists():
            raise InputError(
                f"{root}: is not finished; run the same `bitdiff prepare` again"
            ) from None
        raise InputError(
            f"{path}: no such file; name a folder that `bitdiff prepare` has written"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: is damaged; run the same `bitdiff prepare` again") from None
    if version != schema.VERSION:
        raise InputError(f"{path}: is of version {version}, not {schema.VERSION}; prepare it again")
    return index


def _instead(known: Sequence[str], kind: str) -> str:
    """What to do about a split that is not among those that were prepared."""
    if list(known) != [folder_layout.ALL]:
        return f"it has: {', '.join(known)}"
    listed = folder_layout.how_to_split(kind)
    return "it was prepared from a set without splits; leave split= out to take all of it" + (
        f", or {listed} and prepare it again into another folder" if listed else ""
    )


def _local_copy(path: str, digest: str) -> str:
    """The path of a shard on a disk: array_record opens no buckets.

    Raises:
        InputError: there is no room for a copy.
    """
    if folder_layout.is_local(path):
        return path
    cache = os.environ.get("BITDIFF_CACHE_DIR") or "~/.cache/bitdiff_jax"
    # By content: a set that is prepared anew must not be taken for the old one.
    key = hashlib.sha256(digest.encode()).hexdigest()[:16]
    folder = pathlib.Path(cache).expanduser() / "records" / key
    copy = folder / path.rpartition("/")[2]
    if not copy.exists():
        files.make_folder(folder, "BITDIFF_CACHE_DIR")
        partial = folder / f".{copy.name}.{os.getpid()}.tmp"
        try:
            epath.Path(path).copy(partial, overwrite=True)
            os.replace(partial, copy)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise InputError(
                f"BITDIFF_CACHE_DIR {folder}: cannot hold a copy of {path} "
                f"({files.reason(error)}); free space, or name another folder"
            ) from None
        finally:
            partial.unlink(missing_ok=True)
    return os.fspath(copy)
