"""What a reader is: a source of pictures at their own size, as a data set's authors ship them."""

import inspect
import os
from collections.abc import Sequence
from typing import Any, Protocol

from bitdiff_jax import files


class Reader(Protocol):
    """Random access to one split of a data set, or to all of it; picklable, and cheap to pickle.

    `Reader(root, split=None, **options)` lists the files or parses the index, once, and reads no
    pictures; it raises `InputError` of one line that names what is missing and what was expected.
    Options are keywords with defaults; each reader documents its own.
    """

    @property
    def names(self) -> Sequence[str]:
        """The names of all items, in order, each once; known without reading a picture."""

    @property
    def unlabelled(self) -> str:
        """One phrase for reports: what pixels without a region were taken for, and why."""

    @property
    def definition(self) -> str:
        """What determines the items, apart from the files' content and where they lie."""

    @property
    def has_background(self) -> bool:
        """Whether id 0 is the background of every label map; a reader without it has none."""

    @classmethod
    def splits(cls, root: os.PathLike | str) -> tuple[str, ...]:
        """The splits under `root`, which do not overlap; () if the form knows none."""

    def __len__(self) -> int:
        """The number of pictures."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One item, a pure function of `index` in 0..len-1.

        Returns:
            'name' str; 'image' uint8 [h, w, 3]; 'labels' a tuple of one or more int32 [h, w], one
            of each annotator, ids >= 0 and -1 = ignore.

        Raises:
            InputError: a file of this item is missing, damaged or does not fit; it names the file.
            IndexError: no such item.
        """


def splits(kind: str, root: os.PathLike | str, **options: Any) -> tuple[str, ...]:
    """The splits of a data set of this kind under `root`; () if the form knows none.

    Args:
        kind: as for `readers.make`.
        root: where it lies; `~` is the home folder.
        options: as for `readers.make`; those that play no part in which splits there are do not
            here.

    Raises:
        InputError: an unknown kind, or a root that does not hold such a set.
    """
    # The registry imports this module for the protocol.
    from bitdiff_jax.data import readers

    reader = readers.reader_class(kind)
    options |= readers.implied_options(kind)
    known = inspect.signature(reader.splits).parameters
    return reader.splits(
        files.at_home(root), **{key: options[key] for key in options if key in known}
    )
