"""Makes one shard."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, labelmaps
from bitdiff_jax.data.records import folder_layout, schema, shard_files
from bitdiff_jax.errors import InputError


class Reader(Protocol):
    """What readers of all kinds of data sets offer; see `bitdiff_jax.data.readers`."""

    @property
    def names(self) -> Sequence[str]:
        """All names, in order."""

    def __len__(self) -> int:
        """The number of pictures."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """'name', 'image' uint8 [h, w, 3], 'labels' tuple of int32 [h, w].

        Raises:
            InputError: this picture cannot be read.
        """


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all shards have in common."""

    out: str
    size: int
    image_format: schema.ImageFormat
    strict: bool


@dataclasses.dataclass
class ShardStatistics:
    """What is in a shard.

    Attributes:
        names: of its records.
        regions: of each record, the regions of each of its label maps.
        lost: regions of the originals that shrinking left no pixel of.
        labelled: pixels with a region, in all label maps.
        pixels: all pixels of all label maps.
        skipped: (name, reason) of what could not be read.
        bytes: of the file.
        digest: SHA-256 of the records' SHA-256, in hexadecimal.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    regions: list[list[int]] = dataclasses.field(default_factory=list)
    lost: int = 0
    labelled: int = 0
    pixels: int = 0
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    bytes: int = 0
    digest: str = ""

    def add(self, native: dict[str, Any], kept: dict[str, Any]) -> None:
        """Counts one picture, as it was and as it is kept."""
        counts = [len(labelmaps.renumber(ids)[0]) for ids in kept["labels"]]
        if kept is not native:
            before = sum(len(labelmaps.renumber(ids)[0]) for ids in native["labels"])
            self.lost += before - sum(counts)
        self.names.append(native["name"])
        self.regions.append(counts)
        self.labelled += sum(int((ids >= 0).sum()) for ids in kept["labels"])
        self.pixels += sum(ids.size for ids in kept["labels"])


def make(
    reader: Reader, shard: folder_layout.Shard, settings: Settings, report: Callable[[], None]
) -> ShardStatistics:
    """Writes a shard and its figures; the final name of the shard comes last.

    Args:
        reader: the split's.
        shard: which.
        settings: where and how.
        report: called after every picture; what it raises ends the work.

    Raises:
        InputError: a picture that cannot be read, if `settings.strict`; a place that cannot be
            written. Nothing of the shard is left then.
    """
    out = epath.Path(settings.out)
    statistics = ShardStatistics()
    digest = hashlib.sha256()
    with shard_files.partial(out, shard.file) as partial:
        with shard_files.writer(partial, settings.out) as write:
            for index in range(shard.start, shard.stop):
                try:
                    record = _record(reader, index, settings, statistics)
                except InputError as error:
                    if settings.strict:
                        raise
                    # It may name files whose names are no text.
                    reason = file_names.as_text(str(error))
                    statistics.skipped.append((str(reader.names[index]), reason))
                else:
                    # A digest of digests: where a record ends is part of the content.
                    digest.update(hashlib.sha256(record).digest())
                    write(record)
                report()
        statistics.bytes = partial.stat().st_size
        statistics.digest = digest.hexdigest()
        text = json.dumps(dataclasses.asdict(statistics), ensure_ascii=False)
        files.write(out / folder_layout.PROGRESS / shard.statistics, text.encode())
        shard_files.publish(partial, out / shard.file)
    return statistics


def read_statistics(out: epath.Path, shard: folder_layout.Shard) -> ShardStatistics:
    """The figures of a finished shard."""
    path = out / folder_layout.PROGRESS / shard.statistics
    try:
        return ShardStatistics(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise InputError(
            f"{path}: cannot be read; remove {out / shard.file} and run the same command again"
        ) from None


def _record(reader: Reader, index: int, settings: Settings, statistics: ShardStatistics) -> bytes:
    native = reader[index]
    schema.check(native)
    kept = schema.shrink(native, settings.size)
    record = schema.encode(kept, original=native, image_format=settings.image_format)
    statistics.add(native, kept)
    return record
