"""Features of the pictures of a prepared folder, computed once by an encoder.

    OUT/features/ENCODER-SIDE-HASH/features.json     what computed them, and of which records
    OUT/features/ENCODER-SIDE-HASH/KIND-SPLIT.array_record-00000-of-00016

The shards are those of the records, with one record of features for each picture. A shard with its
final name was whole when it was written, so an interrupted run goes on with the first one that is
not there.
"""

import dataclasses
import functools
import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import pipeline
from bitdiff_jax.data.features import Cells, Features
from bitdiff_jax.data.records import image_count, shard_files, unfinished
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders import pretrained
from bitdiff_jax.nets.encoders.interface import Encoder

FOLDER = "features"
INDEX = "features.json"
_VERSION = 1
_PART_OF = "part of "  # before the digest of records whose features are not all there
_HEADER = struct.Struct("<IIIdd")  # gh, gw, C, extent


@dataclasses.dataclass(frozen=True)
class Key:
    """What determines features beside the pictures.

    Attributes:
        encoder: the encoder's name.
        image_size: side, in pixels, of the square that it sees.
        weights: hash of its parameters, in hexadecimal.
    """

    encoder: str
    image_size: int
    weights: str

    @property
    def folder(self) -> str:
        """The name of the folder with these features."""
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in self.encoder)
        return f"{name}-{self.image_size}-{self.weights[:12]}"


def key_of(encoder: Encoder, weights: str = "") -> Key:
    """The key of an encoder's features.

    Args:
        encoder: the encoder.
        weights: file of its parameters; '' for those that the package carries.

    Raises:
        InputError: there is no such file.
    """
    return Key(encoder.name, encoder.image_size, pretrained.digest(encoder, weights))


def encode(cells: tuple[Cells, Cells]) -> bytes:
    """The cells of a picture and of its mirror image as one record; they have one shape."""
    plain, mirrored = cells
    header = _HEADER.pack(*plain.values.shape, *plain.extent)
    arrays = (plain.scale, mirrored.scale, plain.values, mirrored.values)
    return header + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def decode(record: bytes, mirrored: bool) -> Cells:
    """The cells of the picture, or of its mirror image.

    Raises:
        InputError: the record is damaged.
    """
    try:
        height, width, channels, *extent = _HEADER.unpack_from(record)
        count, start = height * width * channels, _HEADER.size + 8 * channels
        if len(record) != start + 2 * count:
            raise ValueError("wrong length")
        scale = np.frombuffer(record, "<f4", channels, _HEADER.size + 4 * channels * mirrored)
        values = np.frombuffer(record, np.int8, count, start + count * mirrored)
    except (ValueError, struct.error) as error:
        raise InputError(f"a record of features is damaged ({error}); prepare them again") from None
    return Cells(values.reshape(height, width, channels), scale, (extent[0], extent[1]))


def write(
    root: os.PathLike | str,
    key: Key,
    cells_of: Callable[[dict[str, Any]], tuple[Cells, Cells]],
    *,
    splits: Sequence[str] | None = None,
    report: image_count.Report | None = None,
    warn: Callable[[str], None] | None = None,
) -> str:
    """Computes the features of a prepared folder; goes on where an earlier call was interrupted.

    Finished shards are read through, and those that are damaged are made again.

    Args:
        root: a folder that `bitdiff prepare` has written.
        key: what computes them.
        cells_of: function of an item of the records that returns the cells of its picture and of
            its mirror image.
        splits: these only; None for all.
        report: called with the number of images done, of all, and of those that were there before.
        warn: called with a line for each finished shard that is damaged.

    Returns:
        The folder of the features.

    Raises:
        InputError: not a prepared folder, no such split, no space, or another process is at work.
    """
    root = files.at_home(root)
    folder = files.make_folder(epath.Path(root) / FOLDER / key.folder, "--out")
    chosen = list(splits or RecordSource.splits(root))
    sources = {split: RecordSource(root, split) for split in chosen}
    with files.sole_writer(folder, "--out"):
        unfinished.remove_partials(folder)
        about = _splits(folder, key, sources)
        partly = {split: _PART_OF + about[split] for split in chosen}
        files.write(folder / INDEX, _index(key, {**about, **partly}))
        every = [(source, *shard) for source in sources.values() for shard in source.shards()]
        held = {file: stop - start for _, file, start, stop in every if (folder / file).exists()}
        for file in unfinished.remove_damaged(folder, held, warn):
            del held[file]
        total = sum(stop - start for _, _, start, stop in every)
        count = image_count.ImageCount(sum(held.values()), total, report)
        for source, file, start, stop in every:
            if file not in held:
                with shard_files.partial(folder, file) as partial:
                    with shard_files.writer(partial, folder) as write_record:
                        for index in range(start, stop):
                            write_record(encode(cells_of(source[index])))
                            count()
                    shard_files.publish(partial, folder / file)
        files.write(folder / INDEX, _index(key, about))
    return os.fspath(folder)


def _splits(folder: epath.Path, key: Key, sources: Mapping[str, RecordSource]) -> dict[str, str]:
    """The digests of the records by split: those of an earlier call, and those of `sources`.

    Raises:
        InputError: a split that both have is of other records.
    """
    about = {split: source.digest for split, source in sources.items()}
    if not (folder / INDEX).exists():
        return about
    known = _read(folder, key)["splits"]
    for split, digest in about.items():
        if known.get(split, digest).removeprefix(_PART_OF) != digest:
            raise InputError(
                f"{folder}: the features of split {split!r} are of other records; remove the "
                "folder and prepare them again"
            )
    return {**known, **about}


def _index(key: Key, splits: dict[str, str]) -> bytes:
    about = {"version": _VERSION, **dataclasses.asdict(key), "splits": splits}
    return json.dumps(about, indent=1).encode()


def _read(folder: epath.Path, key: Key) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = Key(*(about[field.name] for field in dataclasses.fields(Key)))
        version, _ = about["version"], about["splits"].items()
    except OSError:
        raise InputError(
            f"{folder / INDEX}: no such file; compute the features by `bitdiff prepare --encoder "
            f"{key.encoder}`"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{folder / INDEX}: is damaged; remove the folder and prepare it again"
        ) from None
    if version != _VERSION or found != key:
        raise InputError(
            f"{folder / INDEX}: is of {found}, version {version}, not of {key}; remove the folder "
            "and prepare it again"
        )
    return about


class FeatureSource(pipeline.Wrapper):
    """A source of prepared pictures whose items have the features of an encoder besides.

    It is what the records are otherwise, at the size that `source` keeps them.
    """

    def __init__(self, source: pipeline.Source, records: RecordSource, key: Key):
        """Opens the features beside the records.

        Args:
            source: the records, or what keeps them in memory, item for item.
            records: the records themselves.
            key: what has computed the features.

        Raises:
            InputError: there are none, or they are of other weights, of another size or of other
                records.
        """
        folder = epath.Path(records.root) / FOLDER / key.folder
        if not folder.exists():
            others = _others(folder.parent)
            raise InputError(
                f"{records.root}: has no features of {key.encoder} at {key.image_size} pixels with "
                f"weights {key.weights[:12]}{others}; write them by `bitdiff prepare --encoder "
                f"{key.encoder} --out {records.root}`"
            )
        known = _read(folder, key)["splits"]
        wanted = [records.split] if records.split else RecordSource.splits(records.root)
        for split in wanted:
            if known.get(split) != RecordSource(records.root, split).digest:
                unfinished = known.get(split, "").startswith(_PART_OF)
                state = "unfinished" if unfinished else "not those of its records"
                raise InputError(
                    f"{folder}: the features of split {split!r} are {state}; run `bitdiff prepare "
                    f"--encoder {key.encoder}` again"
                )
        self.source = source
        self.key = key
        self._features = records.beside(os.fspath(folder))

    def __repr__(self) -> str:
        return f"FeatureSource({self.source!r}, {self.key})"

    @property
    def definition(self) -> str:
        """What determines the items: the pictures' own definition and the key."""
        return f"{pipeline.definition(self.source)} features={self.key.folder}"

    def __getitem__(self, index: int) -> dict[str, Any]:
        read = functools.partial(self._cells, int(index))
        return {**self.source[index], "features": Features(read)}

    def _cells(self, index: int, mirrored: bool) -> Cells:
        return decode(self._features.record(index), mirrored)


def beside(source: pipeline.Source, key: Key) -> pipeline.Source:
    """The source with its images' features if they lie beside it, otherwise the source itself.

    Raises:
        InputError: they are there, but unfinished, damaged or of other records.
    """
    if not isinstance(source, RecordSource):
        return source
    if not (epath.Path(source.root) / FOLDER / key.folder).exists():
        return source
    return FeatureSource(source, source, key)


def _others(folder: epath.Path) -> str:
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    return f" (there are {', '.join(found)})" if found else ""
