"""All samples of an image in one npz file, with what they were read from."""

import dataclasses
import io
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation


class Archive(NamedTuple):
    """What the file holds, each under its name.

    Attributes:
        label_map: unsigned [h, w], one map for all samples; ids as of `Segmentation.label_map`.
        label_maps: unsigned [num_samples, h, w]; the same id in two samples need not be the same
            region.
        codes: int32 [num_samples, h', w'], the codes of x0 as drawn.
        agreement: float32 [h, w]; None, and not in the file, of a single sample.
    """

    label_map: np.ndarray
    label_maps: np.ndarray
    codes: np.ndarray
    agreement: np.ndarray | None = None


def of_segmentation(segmentation: "Segmentation") -> Archive:
    """The arrays of one image; ids are in the narrowest type that holds them."""
    maps, consensus = segmentation.label_maps, segmentation.label_map()
    dtype = np.min_scalar_type(max(int(maps.max()), int(consensus.max())))
    return Archive(
        consensus.astype(dtype),
        maps.astype(dtype),
        segmentation.codes.astype(np.int32),
        segmentation.agreement,
    )


def read(path: epath.PathLike) -> Archive:
    """Reads a file of `ArchiveFormat`.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    data = files.read_bytes(path)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Archive(**{name: arrays[name] for name in arrays.files})
    except (ValueError, TypeError, OSError, EOFError, AttributeError, zipfile.BadZipFile):
        names = ", ".join(Archive._fields)
        raise InputError(
            f"{path}: is no npz file of `bitdiff segment`, whose arrays are {names}; write it with "
            "--formats npz"
        ) from None


@dataclasses.dataclass(frozen=True)
class ArchiveFormat:
    """NAME_maps.npz of each image, with the arrays of `Archive`.

    Attributes:
        suffixes: of the file's name.
    """

    suffixes: tuple[str, ...] = ("_maps.npz",)

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`.

        Raises:
            InputError: the place cannot be written.
        """
        arrays = of_segmentation(segmentation)._asdict()
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{k: v for k, v in arrays.items() if v is not None})
        files.write(folder / f"{name}{self.suffixes[0]}", buffer.getvalue())
