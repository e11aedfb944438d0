"""The tables of all shards of a folder as those of one command."""

import csv
import io
import itertools
import os
from collections.abc import Iterator
from concurrent import futures
from typing import NamedTuple

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs, posterior_outputs, shards

_AT_ONCE = 16  # files that are read at the same time: those of a bucket come one round trip each
_MOST_NAMED = 10


class Joined(NamedTuple):
    """What was written."""

    folder: epath.Path
    num_shards: int
    num_images: int  # that have results
    unread: list[str]  # files that could not be read


def join(out: epath.PathLike) -> Joined:
    """Writes regions.csv, modes.csv and images.csv of shards that are all finished.

    They are the tables that one command without shards writes. The shards' own stay.

    Args:
        out: the folder of the results.

    Raises:
        InputError: there are no shards, some are not finished or were begun differently, or the
            place cannot be written.
    """
    folder = epath.Path(files.at_home(out))
    records = _records(folder)
    unread, num_images = [], 0
    for text in _tables(records, shards.UNREAD):
        unread += [row["file"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    for table in (outputs.REGIONS, posterior_outputs.MODES, outputs.IMAGES):
        rows = 0
        partial = folder / f".{table}.{os.getpid()}.tmp"
        try:
            with partial.open("wb") as file:
                file.write(outputs.as_csv(shards.COLUMNS[table]))
                for text in _tables(records, table):
                    _, _, rest = text.partition("\n")
                    rows += bool(rest)
                    file.write(rest.encode("utf-8", "surrogateescape"))
                    if table == outputs.IMAGES:
                        num_images += sum(1 for _ in csv.reader(io.StringIO(rest, newline="")))
            if rows:
                partial.replace(folder / table)
            else:  # as without shards
                partial.unlink()
                files.remove(folder / table)
        except OSError as error:
            raise InputError(
                f"--out {out}: {table} cannot be written ({files.reason(error)}); "
                f"{files.remedy(error)}"
            ) from None
    return Joined(folder, len(records), num_images, unread)


def _records(folder: epath.Path) -> list[tuple[epath.Path, int]]:
    """(folder, number of blocks) of each shard, all of them finished and of one kind."""
    found = files.listed(folder / shards.FOLDER)
    told = {each: shards.read_record(each / shards.RECORD) for each in found if _begun(each)}
    if not told:
        raise InputError(
            f"--out {os.fspath(folder)}: holds no shards; run `bitdiff segment --shard` first"
        )
    of_all = {_shared(each) for each in told.values()}
    if len(of_all) > 1:
        raise InputError(
            f"--out {os.fspath(folder)}: its shards were begun with different images or settings; "
            "draw those of one kind into a folder of their own"
        )
    count, total = next((each["num_shards"], each["num_images"]) for each in told.values())
    missing, kept = set(range(count)), []
    for path, said in told.items():
        start, end = shards.bounds(total, said["index"], count)
        blocks = -(-(end - start) // said["block"])
        there = {each.name for each in files.listed(path)}
        if all(shards.block_table(shards.MARK, k) in there for k in range(blocks)):
            missing.discard(said["index"])
            kept.append((path, blocks))
    if missing:
        named = ", ".join(map(str, sorted(missing)[:_MOST_NAMED]))
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise InputError(
            f"--out {os.fspath(folder)}: {len(missing)} of {count} shards are not finished "
            f"({named}{more}); run them again, they go on where they were"
        )
    return kept


def _begun(shard: epath.Path) -> bool:
    return (shard / shards.RECORD).exists()


def _shared(said: dict) -> str:
    """All of a shard's record that the others have too."""
    return repr(sorted((key, repr(value)) for key, value in said.items() if key != "index"))


def _tables(records: list[tuple[epath.Path, int]], table: str) -> Iterator[str]:
    """The texts of a table of all blocks in order, a few of them in memory at a time."""
    paths = (
        path / shards.block_table(table, block)
        for path, blocks in records
        for block in range(blocks)
    )
    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        while some := list(itertools.islice(paths, _AT_ONCE)):
            yield from pool.map(_text, some)


def _text(path: epath.Path) -> str:
    return files.read_text(path, errors="surrogateescape")
