"""What a format is: a function that writes one segmentation into a folder."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from etils import epath

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation


@runtime_checkable
class Format(Protocol):
    """Writes one segmentation.

    It may have an attribute `suffixes`, the ends of the names of its files after `name`:
    `bitdiff segment` then overwrites no other file of such a name, and removes its own files when
    the image is drawn again or is not finished. A function `check()`, if it has one, is called
    before anything is drawn, and raises InputError if the format cannot be written here.
    """

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """Writes files whose names begin with `name` into `folder`, which exists.

        Args:
            segmentation: what is written.
            folder: where to; local or in a bucket.
            name: of the image among those of this folder, unique there.
        """


@runtime_checkable
class FolderFormat(Format, Protocol):
    """A format with a file of all images of the folder, which grows with each.

    Attributes:
        file: its name; several parts if it lies in a folder of its own.
    """

    file: str

    def forget(self, folder: epath.Path, names: Collection[str]) -> None:
        """Removes images from the file, and the file if none is left.

        Args:
            folder: as in `__call__`.
            names: of the images; those that it does not tell of are passed over.

        Raises:
            InputError: the file is of another kind, or cannot be written.
        """
