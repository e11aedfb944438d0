"""What the page does, without a page: uploads, drawings, links, answers.

A visitor's images and results are found by keys that cannot be guessed, in stores that forget.
"""

import dataclasses
import math
import os
import pathlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import entries, image_input
from bitdiff_jax.inference.editor import Editor
from bitdiff_jax.inference.segmenter import Segmenter
from bitdiff_jax.serve import edits, uploads
from bitdiff_jax.serve.kept import Kept
from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.links import Settings
from bitdiff_jax.serve.result_view import ResultView

# Maps drawn at once: one compiled program for any number of samples, and progress between batches.
BATCH_SIZE = 4
_EXAMPLE = "example:"

OnStage = Callable[[float, str], None]  # the share that is done, in [0, 1], and what comes next


@dataclasses.dataclass
class _Result:
    """A result of a visitor.

    Attributes:
        first: as it was drawn or edited last.
        now: as it is looked at.
        image_key: of the image.
        settings: how it was drawn.
        editor: of the image; None before the first edit.
    """

    first: ResultView
    now: ResultView
    image_key: str
    settings: Settings
    editor: Editor | None = None


class _Upload(NamedTuple):
    name: str
    data: bytes  # as they were uploaded


class Service:
    """The page's doings, for all visitors.

    Attributes:
        segmenter: draws.
        limits: what a visitor may ask for.
        examples: the images that come with the package, by name.
    """

    def __init__(self, segmenter: Segmenter, limits: Limits | None = None) -> None:
        """A service of a segmenter.

        Args:
            segmenter: draws; one image at a time.
            limits: what a visitor may ask for; None for the defaults.
        """
        self.segmenter = segmenter
        self.limits = limits = Limits() if limits is None else limits
        listed = entries.list_entries([str(entries.EXAMPLE_IMAGES)])
        self.examples = {pathlib.Path(each.file).stem: os.fspath(each.file) for each in listed}
        self._uploads = Kept[_Upload](limits.keep_seconds, limits.memory)
        self._results = Kept[_Result](limits.keep_seconds, limits.memory)
        self._device = threading.Lock()

    def receive(self, path: os.PathLike | str, name: str) -> str:
        """Keeps an uploaded file, and gives its key.

        Args:
            path: of the file.
            name: under which the visitor knows it.

        Raises:
            InputError: see `uploads.check`.
        """
        name = uploads.plain_name(name)
        uploads.check(path, name, self.limits)
        data = pathlib.Path(path).read_bytes()
        return self._uploads.put(_Upload(name, data), len(data))

    def draw(self, image_key: str, settings: Settings, on_stage: OnStage | None = None) -> str:
        """Draws an image, and gives the key of the result.

        Args:
            image_key: from `receive`, or 'example:NAME'.
            settings: how it is drawn.
            on_stage: told how far it is.

        Raises:
            InputError: the key is not known any more, a setting is out of its range, or the image
                cannot be read.
        """
        tell = on_stage or (lambda share, text: None)
        settings.check(self.limits)
        tell(0.02, "reading the image")
        name, image = self._read(image_key)

        def on_batch(drawn: int) -> None:
            count = settings.num_samples
            tell(0.2 + 0.6 * drawn / count, f"drawing: {drawn} of {count} samples")

        with self._device:
            tell(0.05, "encoding the image")
            result = self.segmenter(
                image,
                settings.num_samples,
                seed=settings.seed,
                preset=settings.preset,
                temperature=settings.temperature,
                name=image_input.name_of(name),
                batch_size=BATCH_SIZE,
                on_batch=on_batch,
            )
        tell(0.8, "bringing the samples to the image's size")
        view = ResultView.of(result)
        tell(0.9, "finding their consensus")
        _ = view.label_map
        return self._results.put(_Result(view, view, image_key, settings), view.nbytes)

    def view(self, key: str) -> ResultView:
        """The result of a key as it is looked at now.

        Raises:
            InputError: it is not there any more.
        """
        return self._result(key).now

    def change(self, key: str, change: Callable[[ResultView], ResultView]) -> ResultView:
        """Changes how a result is looked at.

        Raises:
            InputError: the result is not there any more, or what `change` raises.
        """
        result = self._result(key)
        result.now = change(result.now)
        return result.now

    def forget_answers(self, key: str) -> ResultView:
        """Shows a result as it was drawn or edited last.

        Raises:
            InputError: it is not there any more.
        """
        result = self._result(key)
        result.now = result.first
        return result.now

    def edit(
        self, key: str, edit: Mapping[str, Any], on_stage: OnStage | None = None
    ) -> ResultView:
        """Edits a result: what the edit says is held, and the rest is drawn anew.

        Edits are made on the consensus of all samples; answers and cuts are forgotten.

        Args:
            key: of the result.
            edit: see `edits.apply`.
            on_stage: told how far it is.

        Raises:
            InputError: the result or its image is not there any more, or see `edits.apply`.
        """
        tell = on_stage or (lambda share, text: None)
        result = self._result(key)
        with self._device:
            if result.editor is None:
                tell(0.1, "opening the image to be edited")
                name, image = self._read(result.image_key)
                settings = result.settings
                result.editor = self.segmenter.open(
                    image,
                    settings.num_samples,
                    seed=settings.seed,
                    preset=settings.preset,
                    temperature=settings.temperature,
                    name=image_input.name_of(name),
                )
            tell(0.5, "drawing the rest anew")
            edits.apply(result.editor, edit, result.first.small.shape)
        tell(0.8, "bringing the samples to the image's size")
        held = len(result.editor.history)
        result.first = result.now = ResultView.of(result.editor.segmentation, held)
        return result.now

    def forget_old(self) -> None:
        """Frees the memory of images and results whose time is over."""
        self._uploads.forget_old()
        self._results.forget_old()

    def _result(self, key: str) -> _Result:
        found = self._results.get(key)
        if found is None:
            raise InputError(
                f"this result is not kept any more ({self.limits.keep_text} at most); draw the "
                "image again"
            )
        return found

    def _read(self, image_key: str) -> tuple[str, np.ndarray]:
        """The name and the pixels of an image."""
        if image_key.startswith(_EXAMPLE):
            name = image_key.removeprefix(_EXAMPLE)
            if name not in self.examples:
                raise InputError(
                    f"there is no example {name!r}; there are {', '.join(self.examples)}"
                )
            path = self.examples[name]
            return os.path.basename(path), uploads.read(path, name, self.limits)
        upload = self._uploads.get(image_key)
        if upload is None:
            raise InputError(
                f"the link has expired: this server keeps an image for {self.limits.keep_text}; "
                "upload it again, the settings of the link are filled in"
            )
        with tempfile.NamedTemporaryFile(prefix="bitdiff_serve_") as file:
            file.write(upload.data)
            file.flush()
            return upload.name, uploads.read(file.name, upload.name, self.limits)


def example_key(name: str) -> str:
    """The key of an image that comes with the package."""
    return f"{_EXAMPLE}{name}"


def settings_of(
    num_samples: float | None, seed: float | None, preset: str, temperature: str
) -> Settings:
    """Settings from the values of the page's fields.

    Args:
        num_samples: label maps.
        seed: of the randomness.
        preset: its name; '' for the model's own sampler.
        temperature: a number as text; '' for the model's own.

    Raises:
        InputError: a number is missing, has a fraction, or is none.
    """
    whole = []
    for name, value in (("num_samples", num_samples), ("seed", seed)):
        if value is None or not math.isfinite(value) or value != int(value):
            raise InputError(f"{name} is {value}; give a whole number")
        whole.append(int(value))
    try:
        noise = float(temperature) if temperature else None
    except ValueError:
        raise InputError(f"temperature is {temperature!r}; give a number from 0 to 2") from None
    return Settings(whole[0], whole[1], preset or None, noise)
