"""The segmenter: pictures in, what a trained model draws of them out."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import image_input, loading
from bitdiff_jax.inference.programs import Programs
from bitdiff_jax.inference.request import Request
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.model import Model, Params

_BATCH_SIZE = 8


@dataclasses.dataclass
class _Image:
    """A picture on its way through; its rows may fall into several batches."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3], own size
    square: np.ndarray  # uint8 [S, S, 3]
    size: tuple[int, int]  # of the valid rectangle
    image_id: int
    codes: list[np.ndarray] = dataclasses.field(default_factory=list)
    certainty: list[np.ndarray] = dataclasses.field(default_factory=list)


class Segmenter:
    """Draws label maps of pictures.

    All randomness of a map comes from (seed, name of the picture, number of the sample), so a
    picture gets the same maps alone, among others, and on any number of devices, and those that
    the evaluation draws for it. (Beyond rounding: kernels for other batch sizes may add up in
    another order, and a bit that close to 0 may fall to either side.)

    A program is compiled for each (rows drawn at once, num_steps, guidance or none); pictures of
    any size share it. `compilation_cache.enable()` keeps programs on disk.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        *,
        sampling: Mapping[str, Any] | None = None,
        trained_on: str = "",
        step: int | None = None,
        devices: Sequence[jax.Device] | None = None,
        on_compile: Callable[[], None] | None = None,
    ):
        """A segmenter of a model at hand.

        Args:
            model: the model.
            params: its parameters.
            sampling: method, eta, clip, variance and eps_after_clip of `Model.sample`; those that
                are missing have its defaults.
            trained_on: the kind of pictures that the model was trained on, in words.
            step: training steps that the parameters have seen.
            devices: over which the rows of a batch are split; all local ones by default.
            on_compile: called, from another thread, when a program has been compiling for a few
                seconds; not for one that comes from the cache.
        """
        self.model = model
        self.trained_on = trained_on
        self.step = step
        self._programs = Programs(
            model,
            params,
            dict(sampling or {}),
            jax.local_devices() if devices is None else devices,
            on_compile,
        )

    @classmethod
    def from_checkpoint(
        cls,
        workdir: epath.PathLike,
        *,
        weights: str | None = None,
        devices: Sequence[jax.Device] | None = None,
        on_compile: Callable[[], None] | None = None,
    ) -> "Segmenter":
        """The segmenter of a training's last checkpoint, sampling as its config says.

        Args:
            workdir: the --workdir of the training.
            weights: see `inference.loading.load`.
            devices: see `__init__`.
            on_compile: see `__init__`.

        Raises:
            InputError: see `inference.loading.load`.
        """
        loaded = loading.load(workdir, weights)
        return cls(
            loaded.model,
            loaded.params,
            sampling=loaded.config.sampling.to_dict(),
            trained_on=loaded.trained_on,
            step=loaded.step,
            devices=devices,
            on_compile=on_compile,
        )

    def __call__(
        self,
        image: Any,
        num_samples: int = 1,
        num_steps: int = 8,
        guidance_weight: float = 1.0,
        seed: int = 0,
        *,
        name: str | None = None,
        batch_size: int = _BATCH_SIZE,
    ) -> Segmentation:
        """Draws `num_samples` label maps of one picture.

        Args:
            image: a path, or a uint8 array [h, w, 3], [h, w] or [h, w, 4]; of any size from 1 x 1.
                Its longest side is brought to the model's `image_size`.
            num_samples: label maps to draw; several show what the model is unsure of.
            num_steps: evaluations of the network for each.
            guidance_weight: how strongly the picture is followed: 0 is the plain conditional
                model, 1 the paper's setting. More is sharper and less varied.
            seed: in [0, 2^32).
            name: from which, with the seed, the randomness is drawn; by default a path's stem,
                and '' for an array.
            batch_size: most maps that are drawn at once; lower it if memory runs out.

        Raises:
            InputError: a picture that cannot be read or used, an argument out of its range, not
                enough memory, or a model whose parameters are not finite.
        """
        request = Request(num_samples, num_steps, guidance_weight, seed, batch_size)
        name = image_input.name_of(image) if name is None else name
        return next(self._draw_all([(name, image)], request.with_at_most(num_samples)))

    def segment_batch(
        self,
        images: Sequence[Any],
        num_samples: int = 1,
        num_steps: int = 8,
        guidance_weight: float = 1.0,
        seed: int = 0,
        *,
        names: Sequence[str] | None = None,
        batch_size: int = _BATCH_SIZE,
    ) -> list[Segmentation]:
        """Draws label maps of several pictures of any sizes through one compiled program.

        Args:
            images: each as `__call__` takes it.
            num_samples: of each picture.
            num_steps: as `__call__`.
            guidance_weight: as `__call__`.
            seed: as `__call__`.
            names: of the pictures, as `__call__`.
            batch_size: maps drawn at once, rounded up to a multiple of the devices; the last batch
                is filled up.

        Returns:
            One result per picture, in their order.

        Raises:
            InputError: as `__call__`; or `names` are not as many as `images`.
        """
        names = [image_input.name_of(image) for image in images] if names is None else names
        if len(names) != len(images):
            raise InputError(
                f"there are {len(names)} names for {len(images)} images; give one each"
            )
        request = Request(num_samples, num_steps, guidance_weight, seed, batch_size)
        items = zip(names, images, strict=True)
        return list(self._draw_all(items, request.with_at_most(len(images) * num_samples)))

    def stream(
        self,
        items: Iterable[tuple[str, Any]],
        num_samples: int = 1,
        num_steps: int = 8,
        guidance_weight: float = 1.0,
        seed: int = 0,
        *,
        batch_size: int = _BATCH_SIZE,
    ) -> Iterator[Segmentation]:
        """As `segment_batch`, for more pictures than fit into memory.

        Args:
            items: (name, image) of each picture; taken one by one as room arises, so that reading
                them may be left to a generator, and so may be leaving out those that are broken.
            num_samples: as `segment_batch`.
            num_steps: as `segment_batch`.
            guidance_weight: as `segment_batch`.
            seed: as `segment_batch`.
            batch_size: as `segment_batch`.

        Returns:
            The results in the order of the items, each as soon as it is complete.
        """
        return self._draw_all(
            items, Request(num_samples, num_steps, guidance_weight, seed, batch_size)
        )

    def _draw_all(
        self, items: Iterable[tuple[str, Any]], request: Request
    ) -> Iterator[Segmentation]:
        num_rows = self._programs.rows_for(request.batch_size)
        rows: list[tuple[_Image, int]] = []
        waiting: collections.deque[_Image] = collections.deque()

        def finished() -> Iterator[Segmentation]:
            while waiting and len(waiting[0].codes) == request.num_samples:
                picture = waiting.popleft()
                yield Segmentation(
                    image=picture.image,
                    codes=np.stack(picture.codes),
                    certainty=np.stack(picture.certainty),
                    seed=request.seed,
                    name=picture.name,
                )

        for name, image in items:
            picture = self._prepare(name, image)
            waiting.append(picture)
            rows += [(picture, sample) for sample in range(request.num_samples)]
            while len(rows) >= num_rows:
                self._draw(rows[:num_rows], num_rows, request)
                rows = rows[num_rows:]
            yield from finished()
        if rows:
            self._draw(rows, num_rows, request)
        yield from finished()

    def _prepare(self, name: str, image: Any) -> _Image:
        rgb = image_input.as_rgb(image)
        size = transforms.resized_shape(rgb.shape[0], rgb.shape[1], self.model.image_size)
        square = transforms.pad_to_square(transforms.resize_image(rgb, size), self.model.image_size)
        return _Image(name, rgb, square, size, transforms.image_id(name))

    def _draw(self, rows: list[tuple[_Image, int]], num_rows: int, request: Request) -> None:
        """Draws up to `num_rows` rows and hands each picture its maps."""
        filled = rows + rows[-1:] * (num_rows - len(rows))
        batch = {
            "image": np.stack([picture.square for picture, _ in filled]),
            "size": np.array([picture.size for picture, _ in filled], np.int32),
            "image_id": np.array([picture.image_id for picture, _ in filled], np.uint32),
            "sample": np.array([sample for _, sample in filled], np.uint32),
        }
        codes, certainty = self._programs.draw(
            batch,
            num_steps=request.num_steps,
            guidance_weight=request.guidance_weight,
            seed=request.seed,
        )
        for i, (picture, _) in enumerate(rows):
            height, width = picture.size
            # Copies: a view would keep the whole batch alive.
            picture.codes.append(codes[i, :height, :width].copy())
            picture.certainty.append(certainty[i, :height, :width].copy())
