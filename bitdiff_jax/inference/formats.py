"""What a segmentation is written as: a format is any function `write(segmentation, folder, name)`.

`FORMATS` are those that have a short name. Another one, of yours, is handed over as it is in
Python, and by `package.module:name` on the command line.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from etils import epath

from bitdiff_jax import extensions, files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs, posterior_outputs

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation


@runtime_checkable
class Format(Protocol):
    """Writes one segmentation.

    It may have an attribute `suffixes`, the ends of the names of its files after `name`:
    `bitdiff segment` then overwrites no other file of such a name, and removes its own files when
    the image is drawn again or is not finished.
    """

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """Writes files whose names begin with `name` into `folder`, which exists.

        Args:
            segmentation: what is written.
            folder: where to; local or in a bucket.
            name: of the image among those of this folder, unique there.
        """


@dataclasses.dataclass(frozen=True)
class PngFormat:
    """A PNG of each image.

    Attributes:
        suffix: of the file's name.
        draw: gives uint8 [h, w, 3], uint8 [h, w] or uint16 [h, w]; None if there is nothing to
            write.
    """

    suffix: str
    draw: Callable[["Segmentation"], np.ndarray | None]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The end of its file's name."""
        return (self.suffix,)

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`; nothing is written where there is nothing to show.

        Raises:
            InputError: the place cannot be written, or ids do not fit 16 bits.
        """
        pixels = self.draw(segmentation)
        if pixels is not None:
            outputs.save_png(folder / f"{name}{self.suffix}", pixels)


class BoundaryFormat:
    """The probability of a boundary: a grey PNG, 255 = 1, and a float32 array [h, w] as npy."""

    suffixes = ("_boundary.png", "_boundary.npy")

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`; nothing is written of few samples, see `MIN_SAMPLES`."""
        if segmentation.num_samples < posterior_outputs.MIN_SAMPLES:
            return
        probability = segmentation.boundary_probability
        assert probability is not None  # as it is of a single sample
        picture, array = (folder / f"{name}{suffix}" for suffix in self.suffixes)
        outputs.save_png(picture, outputs.as_grey(probability))
        posterior_outputs.save_array(array, probability)


class ModesFormat:
    """The most different answers: a PNG of region ids for each, and all of them side by side."""

    suffixes = (
        "_modes.png",
        *(f"_mode{number}.png" for number in range(1, posterior_outputs.NUM_MODES + 1)),
    )

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`; nothing is written of few samples, see `MIN_SAMPLES`."""
        modes = posterior_outputs.modes_of(segmentation)
        if not modes:
            return
        whole, *each = (folder / f"{name}{suffix}" for suffix in self.suffixes)
        together = posterior_outputs.modes_side_by_side(segmentation.image, modes)
        outputs.save_png(whole, together)
        for path, mode in zip(each, modes, strict=False):  # there may be fewer
            outputs.save_png(path, outputs.as_ids(mode.label_map))


def _agreement(segmentation: "Segmentation") -> np.ndarray | None:
    if segmentation.agreement is None:
        return None
    return outputs.agreement_with_legend(segmentation.agreement, segmentation.num_samples)


# Of all samples together; nothing of few, see `posterior_outputs.MIN_SAMPLES`.
POSTERIOR: Mapping[str, Format] = {"boundary": BoundaryFormat(), "modes": ModesFormat()}
FORMATS: Mapping[str, Format] = {
    "id_png": PngFormat("_labels.png", lambda s: outputs.as_ids(s.label_map())),
    "colours": PngFormat("_colours.png", lambda s: outputs.colours(s.label_map())),
    "overlay": PngFormat("_overlay.png", lambda s: outputs.overlay(s.image, s.label_map())),
    "agreement": PngFormat("_agreement.png", _agreement),
    **POSTERIOR,
}
DEFAULT = tuple(FORMATS)


def open_formats(formats: Sequence["str | Format"]) -> dict[str, Format]:
    """Formats by what they were called.

    Args:
        formats: keys of `FORMATS`, references `package.module:name`, or formats themselves.

    Raises:
        InputError: one is not known, cannot be imported, or is not a function.
    """
    found: dict[str, Format] = {}
    for each in formats:
        if not isinstance(each, str):
            name, value = getattr(each, "__name__", type(each).__name__), each
        elif each in FORMATS:
            name, value = each, FORMATS[each]
        elif extensions.is_reference(each):
            name, value = each, extensions.resolve(each, "formats")
        else:
            raise InputError(
                f"formats: {each!r} is not known; use {', '.join(FORMATS)}, or package.module:name"
            )
        if not callable(value):
            raise InputError(f"formats: {name} is not a function write(segmentation, folder, name)")
        found[name] = value
    return found


def suffixes_of(formats: Mapping[str, Format]) -> set[str]:
    """The ends of the names of all files that the formats say they write."""
    return {suffix for each in formats.values() for suffix in getattr(each, "suffixes", ())}


def write(
    segmentation: "Segmentation",
    folder: epath.PathLike,
    name: str,
    formats: Mapping[str, Format],
) -> None:
    """Writes one segmentation in each of the formats.

    Args:
        segmentation: what is written.
        folder: where to; it must exist.
        name: with which the files' names begin.
        formats: as `open_formats` gives them.

    Raises:
        InputError: a format fails.
    """
    for called, each in formats.items():
        try:
            each(segmentation, epath.Path(folder), name)
        except InputError:
            raise
        except OSError as error:
            raise InputError(
                f"formats: {called} cannot write {os.fspath(folder)} ({files.reason(error)}); "
                f"{files.remedy(error)}"
            ) from error
        except Exception as error:
            raise InputError(
                f"formats: {called} failed on {name!r}: {extensions.failure(error)}"
            ) from error
