"""The compiled programs that draw label maps, one for each shape of batch."""

import functools
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from bitdiff_jax.diffusion import sampling as sampling_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.model import Decoder, Model, Params
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.parallel import mesh as mesh_lib

# What `Model.sample` is told by the config; None where any value of the type will do.
SETTINGS: Mapping[str, tuple[str, ...] | None] = {
    "method": typing.get_args(sampling_lib.Method),
    "eta": None,
    "clip": None,
    "variance": typing.get_args(sampling_lib.Variance),
    "eps_after_clip": None,
    "final": typing.get_args(sampling_lib.Final),
    "decoder": typing.get_args(Decoder),
}


class Programs:
    """A model's sampler on a set of devices, compiled as need arises and kept.

    There is one program for each (rows, num_steps, guidance or none). The rows of a batch are split
    over the devices; the parameters are an argument, with a copy on each device.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        sampling: Mapping[str, Any],
        devices: Sequence[jax.Device],
        on_compile: Callable[[], None] | None = None,
    ):
        """See `Segmenter`.

        Raises:
            InputError: a setting in `sampling` has a value that does not exist.
        """
        self._model = model
        self._mesh = mesh_lib.make_mesh(devices=list(devices))
        self._params = jax.device_put(params, mesh_lib.replicated(self._mesh))
        self._settings = {name: sampling[name] for name in SETTINGS if name in sampling}
        for name, value in self._settings.items():
            known = SETTINGS[name]
            if known is not None and value not in known:
                raise InputError(f"config.sampling.{name} is {value!r}; use {' or '.join(known)}")
        self._on_compile = on_compile
        self.compiled: dict[tuple[int, int, bool], Callable[..., Any]] = {}

    def rows_for(self, batch_size: int) -> int:
        """`batch_size`, rounded up to a multiple of the devices."""
        return -(-batch_size // self._mesh.size) * self._mesh.size

    def draw(
        self,
        batch: Mapping[str, np.ndarray],
        *,
        num_steps: int,
        guidance_weight: float,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws one map a row.

        Args:
            batch: image uint8 [B, S, S, 3], size int32 [B, 2], image_id uint32 [B] and sample
                uint32 [B], the number of the sample; B as `rows_for` gives it.
            num_steps: evaluations of the network.
            guidance_weight: 0 leaves guidance out.
            seed: with image_id and sample, where all randomness of a row comes from.

        Returns:
            Codes int32 [B, S, S], -1 on padding, and certainty float32 [B, S, S].

        Raises:
            InputError: the devices have not enough memory, or the parameters are not finite.
        """
        replicated = mesh_lib.replicated(self._mesh)
        arguments = (
            self._params,
            jax.device_put(dict(batch), mesh_lib.batch_sharding(self._mesh)),
            jax.device_put(jax.random.key(seed), replicated),
            jax.device_put(np.float32(guidance_weight), replicated),
        )
        rows = len(batch["image"])
        try:
            program = self._program((rows, num_steps, guidance_weight != 0), arguments)
            codes, certainty = jax.device_get(program(*arguments))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise InputError(
                f"batch_size={rows}: the device has not enough memory to draw as many maps at "
                "once; lower it"
            ) from None
        if not np.isfinite(certainty).all():
            raise InputError(
                "the model's parameters are not finite, so it draws nothing; use an earlier "
                "checkpoint"
            )
        return codes, certainty

    def _program(
        self, key: tuple[int, int, bool], arguments: tuple[Any, ...]
    ) -> Callable[..., Any]:
        if key not in self.compiled:
            _, num_steps, guided = key
            draw = functools.partial(
                draw_rows,
                model=self._model,
                num_steps=num_steps,
                guided=guided,
                settings=self._settings,
            )
            split = mesh_lib.batch_sharding(self._mesh)
            lowered = jax.jit(draw, out_shardings=split).lower(*arguments)
            with compilation_cache.when_slow(self._on_compile):
                self.compiled[key] = lowered.compile()
        return self.compiled[key]


def draw_rows(
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
    """The program itself; see `Programs.draw`. Each row draws from its image and sample number."""

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
