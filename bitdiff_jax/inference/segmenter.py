"""The segmenter: a trained model and the compiled programs that draw label maps with it."""

import collections
import dataclasses
import functools
import math
import operator
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
from etils import epath

from bitdiff_jax.data import transforms
from bitdiff_jax.diffusion import sampling as sampling_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import compilation_cache, loading, pictures
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import mesh as mesh_lib

DEFAULT_BATCH_SIZE = 8
_MAX_SEED = 2**32 - 1
# What `Model.sample` is told by the config; None where any value of the type will do.
_SAMPLER_SETTINGS = {
    "method": typing.get_args(sampling_lib.Method),
    "eta": None,
    "clip": None,
    "variance": typing.get_args(sampling_lib.Variance),
    "eps_after_clip": None,
}


@dataclasses.dataclass
class _Picture:
    """A picture on its way through; its rows may fall into several batches."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3], own size
    square: np.ndarray  # uint8 [S, S, 3]
    size: tuple[int, int]  # of the valid rectangle
    image_id: int
    codes: list[np.ndarray] = dataclasses.field(default_factory=list)
    certainty: list[np.ndarray] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Request:
    """What the caller asked for, checked."""

    num_samples: int
    num_steps: int
    guidance_weight: float
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_steps", "batch_size"):
            _check_integer(name, getattr(self, name), 1)
        _check_integer("seed", self.seed, 0, _MAX_SEED)
        try:
            finite = math.isfinite(self.guidance_weight)
        except TypeError:
            finite = False
        if not finite:
            raise InputError(
                f"guidance_weight is {self.guidance_weight!r}; give a finite number, 0 for none"
            )


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
        sampling: ml_collections.ConfigDict | dict[str, Any] | None = None,
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
            on_compile: called, from another thread, when a program takes more than a second to
                compile.
        """
        self.model = model
        self.trained_on = trained_on
        self.step = step
        self.on_compile = on_compile
        devices = jax.local_devices() if devices is None else devices
        self._mesh = mesh_lib.make_mesh(devices=list(devices))
        self._params = jax.device_put(params, mesh_lib.replicated(self._mesh))
        self._settings = _sampler_settings(dict(sampling or {}))
        self._programs: dict[tuple[int, int, bool], Callable[..., Any]] = {}

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
            sampling=loaded.config.sampling,
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
        batch_size: int = DEFAULT_BATCH_SIZE,
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
        request = _Request(num_samples, num_steps, guidance_weight, seed, batch_size)
        request = dataclasses.replace(request, batch_size=min(batch_size, num_samples))
        name = pictures.name_of(image) if name is None else name
        return next(self._draw_all([(name, image)], request))

    def segment_batch(
        self,
        images: Sequence[Any],
        num_samples: int = 1,
        num_steps: int = 8,
        guidance_weight: float = 1.0,
        seed: int = 0,
        *,
        names: Sequence[str] | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
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
        names = [pictures.name_of(image) for image in images] if names is None else names
        if len(names) != len(images):
            raise InputError(
                f"there are {len(names)} names for {len(images)} images; give one each"
            )
        request = _Request(num_samples, num_steps, guidance_weight, seed, batch_size)
        needed = max(1, len(images)) * num_samples
        request = dataclasses.replace(request, batch_size=min(batch_size, needed))
        return list(self._draw_all(zip(names, images, strict=True), request))

    def stream(
        self,
        items: Iterable[tuple[str, Any]],
        num_samples: int = 1,
        num_steps: int = 8,
        guidance_weight: float = 1.0,
        seed: int = 0,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
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
            items, _Request(num_samples, num_steps, guidance_weight, seed, batch_size)
        )

    def _draw_all(
        self, items: Iterable[tuple[str, Any]], request: _Request
    ) -> Iterator[Segmentation]:
        devices = self._mesh.size
        num_rows = -(-request.batch_size // devices) * devices
        rows: list[tuple[_Picture, int]] = []
        waiting: collections.deque[_Picture] = collections.deque()

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

    def _prepare(self, name: str, image: Any) -> _Picture:
        rgb = pictures.as_rgb(image)
        size = transforms.resized_shape(rgb.shape[0], rgb.shape[1], self.model.image_size)
        square = transforms.pad_to_square(transforms.resize_image(rgb, size), self.model.image_size)
        return _Picture(name, rgb, square, size, transforms.image_id(name))

    def _draw(self, rows: list[tuple[_Picture, int]], num_rows: int, request: _Request) -> None:
        """Draws up to `num_rows` rows and hands each picture its maps."""
        filled = rows + rows[-1:] * (num_rows - len(rows))
        batch = {
            "image": np.stack([picture.square for picture, _ in filled]),
            "size": np.array([picture.size for picture, _ in filled], np.int32),
            "image_id": np.array([picture.image_id for picture, _ in filled], np.uint32),
            "sample": np.array([sample for _, sample in filled], np.uint32),
        }
        arguments = (
            self._params,
            jax.device_put(batch, mesh_lib.batch_sharding(self._mesh)),
            *jax.device_put(
                (jax.random.key(request.seed), np.float32(request.guidance_weight)),
                mesh_lib.replicated(self._mesh),
            ),
        )
        try:
            program = self._program(num_rows, request, arguments)
            codes, certainty = jax.device_get(program(*arguments))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise InputError(
                f"batch_size={num_rows}: the device has not enough memory to draw as many maps at "
                "once; lower it"
            ) from None
        if not np.isfinite(certainty[: len(rows)]).all():
            raise InputError(
                "the model's parameters are not finite, so it draws nothing; use an earlier "
                "checkpoint"
            )
        for i, (picture, _) in enumerate(rows):
            height, width = picture.size
            # Copies: a view would keep the whole batch alive.
            picture.codes.append(codes[i, :height, :width].copy())
            picture.certainty.append(certainty[i, :height, :width].copy())

    def _program(
        self, num_rows: int, request: _Request, arguments: tuple[Any, ...]
    ) -> Callable[..., Any]:
        guided = request.guidance_weight != 0
        key = (num_rows, request.num_steps, guided)
        if key not in self._programs:
            draw = functools.partial(
                _draw_rows,
                model=self.model,
                num_steps=request.num_steps,
                guided=guided,
                settings=self._settings,
            )
            lowered = jax.jit(draw, out_shardings=mesh_lib.batch_sharding(self._mesh)).lower(
                *arguments
            )
            with compilation_cache.when_slow(self.on_compile):
                self._programs[key] = lowered.compile()
        return self._programs[key]


def _draw_rows(
    params: Params,
    batch: dict[str, jax.Array],
    key: jax.Array,
    guidance_weight: jax.Array,
    *,
    model: Model,
    num_steps: int,
    guided: bool,
    settings: dict[str, Any],
) -> tuple[jax.Array, jax.Array]:
    """One map a row: codes int32 [B, S, S], certainty float32 [B, S, S]."""

    def row_key(image_id: jax.Array, sample: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(key, image_id), sample)

    drawn = model.sample(
        params,
        batch["image"],
        batch["size"],
        jax.vmap(row_key)(batch["image_id"], batch["sample"]),
        num_steps=num_steps,
        guidance_weight=guidance_weight if guided else None,
        **settings,
    )
    return drawn.codes, drawn.certainty


def _sampler_settings(sampling: dict[str, Any]) -> dict[str, Any]:
    settings = {name: sampling[name] for name in _SAMPLER_SETTINGS if name in sampling}
    for name, value in settings.items():
        known = _SAMPLER_SETTINGS[name]
        if known is not None and value not in known:
            raise InputError(f"config.sampling.{name} is {value!r}; use {' or '.join(known)}")
    return settings


def _check_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is {value!r}; give an integer") from None
    if number < low or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} is {value}; it must be {bounds}")
