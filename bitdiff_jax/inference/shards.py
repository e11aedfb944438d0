"""The results of a part of many images, which a job array shares out: resumable, in flat memory.

Results of all shards lie in one folder. Tables are written for each `BLOCK` images, once all of
them are finished, so that a killed shard loses what it drew of one block. Of shard 3 of 8:

    OUT/ID_labels.png ...                      as without shards
    OUT/shards/00003-of-00008/shard.json       which images and settings, see `Shard.start`
    OUT/shards/00003-of-00008/images-00000.csv tables of its first block; it is finished
                              regions-00000.csv, modes-00000.csv, unread-00000.csv
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats, outputs, posterior_outputs, results_folder
from bitdiff_jax.inference.entries import Entry

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

FOLDER, RECORD = results_folder.SHARDS, "shard.json"
BLOCK = 64  # images whose rows are held in memory, and which a killed shard draws again
UNREAD = "unread.csv"
UNREAD_COLUMNS = ("image", "file", "why")
# Written last, it says that its block is finished.
MARK = outputs.IMAGES
COLUMNS: Mapping[str, Sequence[str]] = {
    outputs.REGIONS: outputs.CSV_COLUMNS,
    posterior_outputs.MODES: posterior_outputs.MODE_COLUMNS,
    UNREAD: UNREAD_COLUMNS,
    MARK: outputs.ImageRow._fields,
}
_VERSION = 1


def bounds(num_images: int, index: int, num_shards: int) -> tuple[int, int]:
    """The images start <= i < end of a shard: shares of equal size within one, in their order.

    Args:
        num_images: of all shards.
        index: of the shard, from 0.
        num_shards: n.
    """
    return num_images * index // num_shards, num_images * (index + 1) // num_shards


def block_table(table: str, block: int) -> str:
    """'images.csv' of block 12 -> 'images-00012.csv'."""
    stem, ending = os.path.splitext(table)
    return f"{stem}-{block:05d}{ending}"


@contextlib.contextmanager
def claim(
    out: str,
    entries: Sequence[Entry],
    index: int,
    num_shards: int,
    asked: Mapping[str, Any],
) -> Iterator["Shard"]:
    """Makes a shard's folder, and keeps others out of it.

    Args:
        out: the folder of all results.
        entries: the images of all shards, in the same order for each.
        index: of the shard, from 0.
        num_shards: n.
        asked: the settings of `Shard.start` that are known before a model is loaded.

    Raises:
        InputError: the folder cannot be made or written, holds results of a command without shards
            or shards of another number, another process writes this shard, or it was begun with
            other images or settings.
    """
    folder = files.make_folder(out, "--out")
    others = [name for name in _shards_in(folder) if not name.endswith(f"-of-{num_shards:05d}")]
    if others:
        raise InputError(
            f"--out {out}: holds {FOLDER}/{others[0]}, and this is one of {num_shards}; give the "
            "--shard that the others have, or name another folder"
        )
    own = folder / FOLDER / f"{index:05d}-of-{num_shards:05d}"
    # Tables here are of shards only if these have been joined.
    if not (folder / FOLDER).exists() and (folder / outputs.IMAGES).exists():
        raise InputError(
            f"--out {out}: holds results of a command without --shard; name another folder"
        )
    files.make_folder(own, "--out")
    with files.sole_writer(own, f"--out {out} --shard {index}/{num_shards}:"):
        shard = Shard(folder, own, entries, index, num_shards)
        shard.begun(asked)
        yield shard


def _shards_in(folder: epath.Path) -> list[str]:
    """The names of the folders of shards, sorted."""
    return [each.name for each in files.listed(folder / FOLDER)]


@dataclasses.dataclass
class _Block:
    """Rows of a block that is not finished."""

    rows: dict[str, list[bytes]] = dataclasses.field(
        default_factory=lambda: {table: [] for table in COLUMNS}
    )
    done: int = 0


class Shard:
    """The images of one shard, and how their results get into the folder.

    Attributes:
        path: the folder of all results.
    """

    def __init__(
        self,
        path: epath.Path,
        own: epath.Path,
        entries: Sequence[Entry],
        index: int,
        num_shards: int,
    ):
        """`claim` describes the arguments."""
        self.path = path
        self._own = own
        digest = hashlib.sha256()
        for each in entries:
            digest.update(f"{each.identity}\0{each.file}\n".encode("utf-8", "surrogateescape"))
        self._said: dict[str, Any] = {
            "version": _VERSION,
            "index": index,
            "num_shards": num_shards,
            "block": BLOCK,
            "num_images": len(entries),
            "images": digest.hexdigest(),
        }
        start, end = bounds(len(entries), index, num_shards)
        self._entries = list(entries[start:end])
        self._block_of = {each.identity: i // BLOCK for i, each in enumerate(self._entries)}
        self._blocks: dict[int, _Block] = collections.defaultdict(_Block)

    def __len__(self) -> int:
        """Images of this shard, finished or not."""
        return len(self._entries)

    def begun(self, settings: Mapping[str, Any]) -> bool:
        """Whether the shard was begun, by an earlier command with the same images and settings.

        Args:
            settings: those of `start`, or some of them.

        Raises:
            InputError: it was begun with others.
        """
        record = self._own / RECORD
        if not record.exists():
            return False
        now = json.loads(json.dumps({**self._said, "settings": settings}))
        if differs := _difference(read_record(record), now):
            raise InputError(
                f"--out {self.path}: {FOLDER}/{self._own.name} was begun with {differs}; run the "
                "shards again as they were begun, or name another folder"
            )
        return True

    def start(self, settings: Mapping[str, Any]) -> list[Entry]:
        """Notes what the shard draws, or makes sure that it goes on with the same.

        Args:
            settings: all that the results depend on but the images, as JSON has it.

        Returns:
            The images that are not finished: of each block without tables, all.

        Raises:
            InputError: the shard was begun with other images or settings.
        """
        if not self.begun(settings):
            said = {**self._said, "settings": settings}
            files.write(self._own / RECORD, (json.dumps(said, indent=2) + "\n").encode())
        there = {each.name for each in files.listed(self._own)}
        blocks = set(self._block_of.values())
        done = {k for k in blocks if block_table(MARK, k) in there}
        return [each for each in self._entries if self._block_of[each.identity] not in done]

    def add(
        self, result: "Segmentation", entry: Entry, chosen: Mapping[str, formats.Format]
    ) -> outputs.ImageRow:
        """Writes an image's results, and its rows once its block is finished.

        Args:
            result: what was drawn.
            entry: of which image.
            chosen: the formats.

        Returns:
            The image's row.

        Raises:
            InputError: the place cannot be written, or a format fails.
        """
        row = outputs.image_row(result, entry.identity, entry.file)
        formats.write(result, self.path, entry.identity, chosen)
        self._add(entry, results_folder.tables_of(result, entry, row, chosen))
        return row

    def leave_out(self, entry: Entry, why: str) -> None:
        """Notes an image that cannot be read; the shard does not try it again."""
        self._add(entry, {UNREAD: [(entry.identity, entry.file, " ".join(why.split()))]})

    def _add(self, entry: Entry, rows: Mapping[str, Sequence[Sequence[str]]]) -> None:
        number = self._block_of[entry.identity]
        block = self._blocks[number]
        for table, fields in rows.items():
            block.rows[table].append(outputs.as_csv(*fields))
        block.done += 1
        if block.done == min(BLOCK, len(self) - number * BLOCK):
            for table, columns in COLUMNS.items():  # the mark is the last of them
                text = b"".join([outputs.as_csv(columns), *block.rows[table]])
                files.write(self._own / block_table(table, number), text)
            del self._blocks[number]


def read_record(path: epath.Path) -> dict[str, Any]:
    """What a shard's record says; InputError if it is none, as of a disk that was full."""
    remedy = f"delete the folder {path.parent} and run this shard again, which draws it anew"
    said = files.read_json(path, remedy)
    numbers = ("version", "index", "num_shards", "block", "num_images")
    if not isinstance(said, dict) or not all(isinstance(said.get(key), int) for key in numbers):
        raise InputError(f"{path}: is no record of a shard; {remedy}")
    return said


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """'seed 1, not 0': the first thing of `now` that differs; '' if nothing does."""
    if any(earlier[key] != now[key] for key in ("version", "block")):
        return "another version of this package"
    if any(earlier.get(key) != now[key] for key in ("num_images", "images")):
        before, here = earlier["num_images"], now["num_images"]
        if before == here:
            return f"other images, {before} as well"
        return f"{before} images, and there are {here}"
    before = earlier.get("settings", {})
    for name, value in now["settings"].items():
        if before.get(name) != value:
            return f"{name} {before.get(name)!r}, not {value!r}"
    return ""
