"""Turns a data set into prepared records, and goes on where it was stopped."""

import dataclasses
import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, pipeline
from bitdiff_jax.data.records import (
    folder_layout,
    image_count,
    metadata,
    pool,
    schema,
    shards,
    summary,
    unfinished,
)
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.errors import InputError


class DataSet(pool.Opener, Protocol):
    """A data set as its authors ship it."""

    @property
    def kind(self) -> str:
        """The name of its form: letters, digits and _, perhaps more after a colon."""

    @property
    def options(self) -> Mapping[str, str]:
        """How its readers were told to read it."""

    def splits(self) -> Sequence[str]:
        """Its splits; none if the form knows none."""


@dataclasses.dataclass(frozen=True)
class Files:
    """A data set in files, read by the reader of its kind; see `bitdiff_jax.data.readers`."""

    kind: str
    root: str
    options: dict[str, str] = dataclasses.field(default_factory=dict)

    def open(self, split: str) -> shards.Reader:
        """The reader of a split; 'all' where there are no splits."""
        from bitdiff_jax.data import readers

        known = self.splits()
        return readers.make(self.kind, self.root, split if known else None, **self.options)

    def splits(self) -> Sequence[str]:
        """The splits under the root."""
        from bitdiff_jax.data import readers

        return readers.splits(self.kind, self.root)


def prepare(
    data: DataSet,
    out: epath.PathLike,
    *,
    splits: Sequence[str] | None = None,
    size: int = 128,
    image_format: schema.ImageFormat = "jpeg",
    workers: int | None = None,
    strict: bool = False,
    report: image_count.Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> str:
    """Writes a data set as records.

    Stopped at any moment and called again with the same arguments it goes on with the shards that
    are not whole, and the records are those of a run that was not stopped. Finished shards are read
    through, and those that are damaged are made again.

    Args:
        data: the data set.
        out: the folder to make, perhaps in a bucket.
        splits: which; None for all there are.
        size: longest side that is kept; larger pictures are shrunk. 0 for none.
        image_format: 'jpeg', or 'png' for pictures that lose nothing.
        workers: processes; None for as many as there are cores, 0 for none but this.
        strict: stop at a picture that cannot be read instead of leaving it out.
        report: called with (pictures done, of how many, how many were there before).
        warn: called with a line for each finished shard that is damaged.

    Returns:
        The summary, as in OUT/summary.txt.

    Raises:
        InputError: what a reader says of the whole set; a folder with something else in it, or
            prepared with other arguments; no space; with `strict`, a picture.
    """
    started = time.monotonic()
    if file_names.as_text(os.fspath(out)) != os.fspath(out):
        raise InputError(
            f"--out {file_names.as_text(os.fspath(out))}: the name is not text in UTF-8, and the "
            "library that writes shards takes no other; name another folder"
        )
    if size < 0 or (workers is not None and workers < 0):
        raise InputError(f"size={size} and workers={workers} must be at least 0")
    out = files.make_folder(out, "--out")
    with files.sole_writer(out, "--out"):
        plans, parameters, unlabelled, has_background = _plan(data, splits, size, image_format)
        there = unfinished.resume(out, parameters)
        every = [shard for plan in plans.values() for shard in plan]
        finished = [shard for shard in every if {shard.file, shard.statistics} <= there]
        held = {s.file: len(shards.read_statistics(out, s).names) for s in finished}
        there -= unfinished.remove_damaged(out, held, warn)
        todo = [s for s in every if not {s.file, s.statistics} <= there]
        if strict:
            unfinished.refuse_skipped(out, [shard for shard in every if shard not in todo])
        if not todo and {folder_layout.INFO, folder_layout.SUMMARY} <= there:
            return (out / folder_layout.SUMMARY).read_text(encoding="utf-8")
        for name in (folder_layout.INFO, folder_layout.INDEX):  # they speak of a whole set
            (out / name).unlink(missing_ok=True)
        total = sum(shard.stop - shard.start for shard in every)
        made = sum(shard.stop - shard.start for shard in todo)
        count = image_count.ImageCount(total - made, total, report)
        if workers is None:
            workers = os.cpu_count() or 1
        settings = shards.Settings(os.fspath(out), size, image_format, strict)
        try:
            pool.make_shards(data, todo, settings, workers=workers, report=count)
        finally:
            unfinished.remove_partials(out)

        statistics = {
            split: [shards.read_statistics(out, shard) for shard in plan]
            for split, plan in plans.items()
        }
        metadata.write_index(out, plans, statistics, parameters, unlabelled, has_background)
        title = f"{data.kind}, size {size or 'as it was'}, pictures as {image_format}"
        text = summary.as_text(
            f"{title}: {out}",
            statistics,
            unlabelled=unlabelled,
            seconds=time.monotonic() - started,
            made=made,
        )
        sources = [RecordSource(out, split) for split in plans]
        files.write(out / folder_layout.SHEET, summary.contact_sheet(sources))
        files.write(out / folder_layout.SUMMARY, text.encode())
        metadata.write_tfds(out, _dataset(data), plans, statistics, f"{title}; {unlabelled}")
    return text


def _dataset(data: DataSet) -> str:
    """The name of the data set for tfds, which is part of its files' names."""
    return data.kind.partition(":")[0]


def _plan(
    data: DataSet, splits: Sequence[str] | None, size: int, image_format: str
) -> tuple[dict[str, list[folder_layout.Shard]], dict[str, Any], str, bool]:
    """The shards of each split, all that determines the records, `unlabelled`, `has_background`."""
    known = list(data.splits()) or [folder_layout.ALL]
    chosen = list(dict.fromkeys(splits or known))
    for split in chosen:
        if split not in known:
            remedy = f"there is {', '.join(known)}"
            if known == [folder_layout.ALL]:
                listed = folder_layout.how_to_split(data.kind)
                remedy = "the set has none; leave --splits out" + (
                    f", or {listed}" if listed else ""
                )
            raise InputError(f"--splits: there is no split {split!r}; {remedy.rstrip(',')}")
        if not re.fullmatch(r"[\w-]+", split) or (split == folder_layout.ALL and len(chosen) > 1):
            raise InputError(
                f"split {split!r}: tfds allows letters, digits, _ and - in a name, and takes 'all' "
                "for every split; rename it, or choose others by --splits"
            )
    plans, about = {}, {}
    unlabelled = []
    has_background = True
    for split in chosen:
        reader = data.open(split)
        names = list(reader.names)
        if not names:
            raise InputError(f"split {split!r} has no pictures; choose others by --splits")
        if len(set(names)) < len(names):
            twice = next(name for k, name in enumerate(names) if name in names[:k])
            raise InputError(f"split {split!r} has two pictures named {twice}; rename one")
        plans[split] = folder_layout.plan(_dataset(data), split, len(names))
        about[split] = {
            "pictures": len(names),
            "names": hashlib.sha256("\n".join(names).encode()).hexdigest(),
            "reader": getattr(reader, "definition", type(reader).__qualname__),
            "shards": len(plans[split]),
        }
        has_background &= pipeline.has_background(reader)
        unlabelled.append(getattr(reader, "unlabelled", "pixels without a region are ignored"))
    parameters = {
        "version": schema.VERSION,
        "kind": data.kind,
        "options": dict(sorted(data.options.items())),
        "size": size,
        "image_format": image_format,
        "splits": about,
    }
    return plans, parameters, "; ".join(dict.fromkeys(unlabelled)), has_background
