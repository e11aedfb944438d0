"""The folder that `bitdiff segment` fills, whose tables tell of what is finished at any moment.

Its state is regions.csv, modes.csv and images.csv, written anew after each image. While a command
runs, unfinished.csv names its images too; a killed command leaves it, and the next one reads it.
"""

import contextlib
import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats, outputs, posterior_outputs
from bitdiff_jax.inference.entries import Entry

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

SHARDS = "shards"  # the folder of their tables, see `inference.shards`
UNFINISHED = "unfinished.csv"

_Rows = dict[str, list[Sequence[str]]]  # of a table, by the image's identity
_KEYS = ("image", "file")  # the first columns of each table


@contextlib.contextmanager
def claim(
    out: str, entries: Sequence[Entry], known: Mapping[str, formats.Format]
) -> Iterator["ResultsFolder"]:
    """Makes the folder if need be, and keeps others out until the images are drawn.

    That it can be written is tried at once, before a model is loaded.

    Args:
        out: the folder.
        entries: the images whose results it gets.
        known: the formats that results may have, chosen now or by an earlier command.

    Raises:
        InputError: the folder cannot be made or written, another process writes there, or it holds
            results of shards or of other images, or files that results would overwrite.
    """
    folder = files.make_folder(out, "--out")
    if (folder / SHARDS).is_dir():
        raise InputError(
            f"--out {out}: holds results of a command with --shard, whose tables would no longer "
            "be true; name another folder"
        )
    with files.sole_writer(folder, "--out"):
        results = ResultsFolder(folder, entries, known)
        try:
            named = [(each.identity, each.file) for each in entries]
            files.write(folder / UNFINISHED, outputs.as_csv(_KEYS, *named))
        except InputError as error:
            raise InputError(f"--out {out}: {error}") from None
        try:
            yield results
        finally:
            with contextlib.suppress(OSError):
                (folder / UNFINISHED).unlink(missing_ok=True)


def tables_of(
    result: "Segmentation",
    entry: Entry,
    row: outputs.ImageRow,
    chosen: Mapping[str, formats.Format],
) -> dict[str, list[Sequence[str]]]:
    """The rows of an image by the table that they belong to.

    Args:
        result: what was drawn.
        entry: of which image.
        row: its row of images.csv.
        chosen: the formats; without 'modes' there are no rows of modes.
    """
    name = entry.identity
    modes = posterior_outputs.modes_of(result) if "modes" in chosen else []
    return {
        outputs.REGIONS: outputs.region_fields(name, entry.file, result.regions()),
        posterior_outputs.MODES: posterior_outputs.mode_fields(name, entry.file, modes),
        outputs.IMAGES: [outputs.image_fields(row)],
    }


class ResultsFolder:
    """The results that lie in a folder, and how further ones get there.

    Attributes:
        path: the folder.
    """

    def __init__(
        self, path: epath.Path, entries: Sequence[Entry], known: Mapping[str, formats.Format]
    ):
        """Reads what an earlier command left; `claim` describes the arguments and errors."""
        self.path = path
        self._entries = entries
        self._suffixes = formats.suffixes_of(known)
        self._shared = formats.of_folders(known)
        images = _read(path / outputs.IMAGES, outputs.ImageRow._fields)
        # Of an image that was being written when its command was killed, there may be rows here.
        regions = _read(path / outputs.REGIONS, outputs.CSV_COLUMNS)
        modes = _read(path / posterior_outputs.MODES, posterior_outputs.MODE_COLUMNS)
        begun = _read(path / UNFINISHED, _KEYS)
        self._files = {name: rows[-1][1] for name, rows in images.items()}
        # As they are written: of ten thousand images, making them anew would take seconds.
        self._images = {name: outputs.as_csv(*rows) for name, rows in images.items()}
        self._regions = {name: outputs.as_csv(*regions.get(name, ())) for name in images}
        self._modes = {name: outputs.as_csv(*modes.get(name, ())) for name in images}
        self._check(entries, {name: rows[-1][1] for name, rows in begun.items()})
        self._clear(begun.keys() - images.keys())

    def __len__(self) -> int:
        """Images of the command, readable or not."""
        return len(self._entries)

    def start(self, settings: Mapping[str, Any]) -> Sequence[Entry]:
        """The images that are drawn, which are all: other `settings` may replace what is here."""
        return self._entries

    def leave_out(self, entry: Entry, why: str) -> None:
        """Nothing: what an earlier command wrote of an image that cannot be read stays."""

    def add(
        self,
        result: "Segmentation",
        entry: Entry,
        chosen: Mapping[str, formats.Format],
    ) -> outputs.ImageRow:
        """Writes an image's results and its rows, in place of those of an earlier command.

        Whatever stops it, the image has both or neither.

        Args:
            result: what was drawn.
            entry: of which image.
            chosen: the formats.

        Returns:
            The image's row.

        Raises:
            InputError: the place cannot be written, or a format fails.
        """
        name = entry.identity
        self._forget(entry)
        row = outputs.image_row(result, name, entry.file)
        try:
            formats.write(result, self.path, name, chosen)
            tables = tables_of(result, entry, row, chosen)
            self._regions[name] = outputs.as_csv(*tables[outputs.REGIONS])
            self._modes[name] = outputs.as_csv(*tables[posterior_outputs.MODES])
            self._images[name] = outputs.as_csv(*tables[outputs.IMAGES])
            self._files[name] = entry.file
            self._save()
        except BaseException:
            self._files.pop(name, None)
            with contextlib.suppress(InputError):  # the first error is the one to tell
                self._remove_files([name])
                self._save()
            raise
        return row

    def _forget(self, entry: Entry) -> None:
        """Removes what an earlier command wrote of this image, or of another by its name."""
        earlier = [
            name
            for name, file in self._files.items()
            # Some file systems do not tell upper from lower case.
            if name.casefold() == entry.identity.casefold() or file == entry.file
        ]
        for name in earlier:
            del self._files[name]
        if earlier:
            self._save()
        self._remove_files(earlier)

    def _save(self) -> None:
        tables = (
            (outputs.REGIONS, outputs.CSV_COLUMNS, self._regions),
            (posterior_outputs.MODES, posterior_outputs.MODE_COLUMNS, self._modes),
            (outputs.IMAGES, outputs.ImageRow._fields, self._images),
        )
        for file, columns, rows in tables:
            kept = [rows[name] for name in self._files]
            # Many runs have no modes: a table without rows would only ask what it is for.
            if kept and (file != posterior_outputs.MODES or any(kept)):
                files.write(self.path / file, b"".join([outputs.as_csv(columns), *kept]))
            else:
                files.remove(self.path / file)

    def _remove_files(self, names: Collection[str]) -> None:
        for name in names:
            for suffix in self._suffixes:
                files.remove(self.path / f"{name}{suffix}")
        for each in self._shared if names else ():
            each.forget(self.path, names)

    def _check(self, entries: Sequence[Entry], begun: Mapping[str, str]) -> None:
        """Refuses what would mix two commands' results, or overwrite what is no result."""
        here = {entry.file for entry in entries}
        other = sorted({*self._files.values(), *begun.values()} - here)
        if other:
            more = f" and {len(other) - 1} more" if len(other) > 1 else ""
            raise InputError(
                f"--out {self.path}: holds results of other pictures ({other[0]}{more}), which "
                "would be mixed with these; name another folder, or remove this one"
            )
        known = {*self._files, *begun}
        planned = {
            f"{entry.identity}{suffix}"
            for entry in entries
            if entry.identity not in known
            for suffix in self._suffixes
        }
        unknown = sorted(planned & {each.name for each in files.listed(self.path)})
        if not known:
            unknown += [each.file for each in self._shared if (self.path / each.file).exists()]
        if unknown:
            raise InputError(
                f"--out {self.path}: holds {unknown[0]}, of which {outputs.IMAGES} does not tell "
                "and which a result may overwrite; name another folder, or remove it"
            )

    def _clear(self, names: Collection[str]) -> None:
        """Removes what a killed command left of images that it did not finish."""
        self._remove_files(names)
        written = {each.file for each in self._shared}
        written |= {outputs.REGIONS, outputs.IMAGES, outputs.OVERVIEW, UNFINISHED}
        written.add(posterior_outputs.MODES)
        written |= {f"{name}{suffix}" for name in names for suffix in self._suffixes}
        for path in files.listed(self.path):
            found = files.PARTIAL.fullmatch(path.name)
            if found and found[1] in written:
                files.remove(path)


def _read(path: epath.Path, columns: Sequence[str]) -> _Rows:
    """The rows of a table by image, each with these columns; none if there is no table."""
    if not path.exists():
        return {}
    text = files.read_text(path, errors="surrogateescape")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ())[:2] != _KEYS:
        raise InputError(
            f"--out {path.parent}: its {path.name} is no table of `bitdiff segment`; name another "
            "folder, or remove it"
        )
    found: _Rows = {}
    for row in reader:
        found.setdefault(row["image"], []).append([row.get(column) or "" for column in columns])
    return found
