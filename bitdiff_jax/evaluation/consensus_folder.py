"""The folder that `bitdiff consensus` fills, in which nothing of others is overwritten.

What it wrote is told by images.csv. While a command runs, and after one that was killed,
unfinished.csv names the images of that command.
"""

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.consensus_tables import DISPUTED, IMAGE_COLUMNS, SOURCES, ImageConsensus
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.results_folder import UNFINISHED

LABELS, BOUNDARY, OVERLAY = SUFFIXES = ("_labels.png", "_boundary.png", "_overlay.png")
_BEGUN = ("image",)


@contextlib.contextmanager
def claim(out: str, names: Sequence[str], inputs: Sequence[str]) -> Iterator["ConsensusFolder"]:
    """Makes the folder if need be, and keeps others out until the end.

    Args:
        out: the folder.
        names: of the images whose results it gets.
        inputs: paths that are read, none of which may be this folder.

    Raises:
        InputError: the folder cannot be made or written, is one of the inputs, another process
            writes there, or it holds results of other images, or files that would be overwritten.
    """
    here = os.path.realpath(files.at_home(out))
    if any(os.path.realpath(files.at_home(each)) == here for each in inputs):
        raise InputError(f"--out {out}: is one of the folders that are read; name another folder")
    path = files.make_folder(out, "--out")
    with files.sole_writer(path, "--out"):
        folder = ConsensusFolder(path, names)
        yield folder


class ConsensusFolder:
    """The results that lie in a folder, and how further ones get there.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: epath.Path, names: Sequence[str]):
        """Looks at what is there; `claim` describes the arguments and errors."""
        self.path = path
        self._names = names
        self._written: set[str] = set()
        self._files = {name: re.sub(r"[/\\]", "_", name) for name in names}
        taken: dict[str, str] = {}
        for name, file in self._files.items():
            # Some file systems do not tell upper from lower case.
            if (other := taken.setdefault(file.casefold(), name)) != name:
                raise InputError(f"{other!r} and {name!r} would have files of one name; rename one")
        known = _images(path / outputs.IMAGES, IMAGE_COLUMNS) + _images(path / UNFINISHED, _BEGUN)
        self._check(known)

    def add(self, result: ImageConsensus, image: np.ndarray | None) -> None:
        """Writes the results of an image, in place of those of an earlier command.

        Args:
            result: its consensus.
            image: uint8 [h, w, 3], for the overlay; None for none.

        Raises:
            InputError: the place cannot be written.
        """
        if not self._written:
            lines = outputs.as_csv(_BEGUN, *([name] for name in self._names))
            files.write(self.path / UNFINISHED, lines)
        self._written.add(result.name)
        self._remove(result.name)
        start = self._files[result.name]
        outputs.save_png(self.path / f"{start}{LABELS}", result.label_map)
        outputs.save_png(self.path / f"{start}{BOUNDARY}", result.boundary)
        if image is not None:
            shown = outputs.overlay(image, result.label_map.astype(np.int32))
            outputs.save_png(self.path / f"{start}{OVERLAY}", shown)

    def finish(self, tables: Mapping[str, bytes]) -> None:
        """Writes the tables, and removes what an earlier command wrote of images that have no row.

        Args:
            tables: bytes by the names of their files.

        Raises:
            InputError: the place cannot be written.
        """
        for name in self._names:
            if name not in self._written:
                self._remove(name)
        for file, data in tables.items():
            files.write(self.path / file, data)
        files.remove(self.path / UNFINISHED)
        results = {*tables, UNFINISHED, *self._planned(self._names)}
        for path in self.path.iterdir():  # of a command that was killed while it wrote
            found = files.PARTIAL.fullmatch(path.name)
            if found and found[1] in results:
                files.remove(path)

    def _remove(self, name: str) -> None:
        for file in self._planned([name]):
            files.remove(self.path / file)

    def _planned(self, names: Sequence[str]) -> set[str]:
        return {f"{self._files[name]}{suffix}" for name in names for suffix in SUFFIXES}

    def _check(self, known: Sequence[str]) -> None:
        """Refuses what would mix two commands' results, or overwrite what is no result."""
        if others := sorted(set(known) - set(self._names)):
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise InputError(
                f"--out {self.path}: holds results of other images ({others[0]}{more}), which "
                "would be mixed with these; name another folder, or remove this one"
            )
        planned = self._planned(self._names) - self._planned(known)
        planned |= {SOURCES, DISPUTED} if not known else set()
        if unknown := sorted(planned & {each.name for each in self.path.iterdir()}):
            raise InputError(
                f"--out {self.path}: holds {unknown[0]}, which no `bitdiff consensus` wrote and "
                "which a result would overwrite; name another folder, or remove it"
            )


def _images(path: epath.Path, columns: Sequence[str]) -> list[str]:
    """The images that a table names; none if there is no table."""
    if not path.exists():
        return []
    text = files.read_text(path, errors="surrogateescape")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise InputError(
            f"--out {path.parent}: its {path.name} is no table of `bitdiff consensus`; name "
            "another folder, or remove it"
        )
    return [row["image"] for row in reader]
