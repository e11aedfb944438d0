"""The compiled programs that draw label maps: one for each model, sampler, mesh and batch.

They are kept for the whole process, by value: a second segmenter of a model, or the next evaluation
of a training, finds its program compiled.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.sharding import Mesh

from bitdiff_jax import traces
from bitdiff_jax.data.image_inputs import encoder_input
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.image_condition import IMAGE_CHANNELS
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.parallel import mesh as mesh_lib


class Prompted(NamedTuple):
    """Which prompts the rows of a program have; see `Model.sample`."""

    known: bool = False  # codes that are imposed
    weighted: bool = False  # the weight of guidance by prompts


NO_PROMPTS = Prompted()


class Maps(NamedTuple):
    """What a program draws, one map a row; arrays of the devices or, fetched, of the host."""

    codes: Any  # int32 [B, S, S], -1 on padding
    certainty: Any  # float32 [B, S, S]
    x0: Any  # float16 [B, S, S, C], from which the codes were read
    finite: Any  # bool [B], whether the row's numbers are


export.register_namedtuple_serialization(Maps, serialized_name="bitdiff_jax.Maps")


def image_rows(model: Model, num_rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays that show a model B images: 'image' and, with an encoder, 'features'."""
    side = model.image_size * model.image_scale
    rows = {"image": jax.ShapeDtypeStruct((num_rows, side, side, IMAGE_CHANNELS), jnp.uint8)}
    if (features := model.features) is not None:
        shape = (num_rows, features.grid, features.grid, features.encoder.channels)
        rows["features"] = jax.ShapeDtypeStruct(shape, jnp.float16)
    return rows


def encode(model: Model, params: Params, image: np.ndarray, size: tuple[int, int]) -> jax.Array:
    """What the model's encoder makes of one image, float16 [G, G, C].

    It is on its way when this returns: the program that draws is compiled meanwhile.

    Args:
        model: a model with an encoder.
        params: parameters, the encoder's among them.
        image: uint8 [h, w, 3], of any size.
        size: (h, w) of the rectangle of the label map that it fills.
    """
    assert model.features is not None
    given = encoder_input(image, model.features.encoder.image_size)
    sizes = given["encoder_size"][None], np.array([size], np.int32)
    arguments = (params, given["encoder_image"][None], *sizes)
    leaves, tree = jax.tree.flatten(arguments)
    shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=_sharding(x)) for x in leaves)
    features: jax.Array = _encoding(model, tree, shapes, _x64())(*arguments)
    return features


def _sharding(x: Any) -> Any:
    return x.sharding if isinstance(x, jax.Array) else None


@functools.lru_cache(maxsize=8)
def _encoding(model: Model, tree: Any, shapes: tuple[Any, ...], x64: bool) -> jax.stages.Compiled:
    """The program that encodes one image; `x64` is what jax compiles under."""
    del x64

    def first(*arguments: Any) -> jax.Array:
        return model.encode(*arguments)[0].astype(jnp.float16)

    arguments = jax.tree.unflatten(tree, shapes)
    return traces.program(jax.jit(first), arguments, ("encode", model)).compile()


def lower(
    model: Model,
    params: Params,
    sampler: Sampler,
    mesh: Mesh,
    num_rows: int,
    prompted: Prompted = NO_PROMPTS,
) -> jax.stages.Lowered:
    """The program `draw_rows`, lowered for devices that need not be there.

    Args:
        model: the model.
        params: its parameters, or their shapes.
        sampler: how maps are drawn; any weight but None or 0 gives the same program.
        mesh: of one process; the rows are split over its devices, the parameters are on each.
        num_rows: B, a multiple of the devices.
        prompted: which prompts rows have.
    """
    jitted, arguments = _drawing(model, params, sampler, mesh, num_rows, prompted)
    lowered: jax.stages.Lowered = jitted.lower(*arguments)
    return lowered


def _drawing(
    model: Model,
    params: Params,
    sampler: Sampler,
    mesh: Mesh,
    num_rows: int,
    prompted: Prompted,
) -> tuple[Any, tuple[Any, ...]]:
    """The jitted program, and the shapes of its arguments, see `lower`."""
    whole, split = mesh_lib.replicated(mesh), mesh_lib.batch_sharding(mesh)

    def shape(sharding: Any, shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    rows = {
        **{k: shape(split, v.shape, v.dtype) for k, v in image_rows(model, num_rows).items()},
        "size": shape(split, (num_rows, 2), jnp.int32),
        "image_id": shape(split, (num_rows,), jnp.uint32),
        "sample": shape(split, (num_rows,), jnp.uint32),
    }
    square = (num_rows, model.image_size, model.image_size)
    if model.prompts:
        rows["prompt"] = shape(split, (*square, model.prompt_channels), jnp.float16)
    if prompted.known:
        rows["known_codes"] = shape(split, square, jnp.int32)
    if prompted.weighted:
        rows["prompt_weight"] = shape(split, (num_rows,), jnp.float32)
    params = jax.tree.map(lambda x: shape(whole, x.shape, x.dtype), params)
    program = functools.partial(draw_rows, model=model, sampler=_without_weight(sampler), mesh=mesh)
    jitted = jax.jit(program, out_shardings=split)
    scalars = shape(whole, (), jnp.uint32), shape(whole, (), jnp.float32)
    return jitted, (params, rows, *scalars)


def draw_rows(
    params: Params,
    rows: dict[str, jax.Array],
    seed: jax.Array,
    guidance_weight: jax.Array,
    *,
    model: Model,
    sampler: Sampler,
    mesh: Mesh,
) -> Maps:
    """The program itself: each row draws from the seed, its image's id and its sample's number.

    Args:
        params: parameters.
        rows: what `image_rows` names, and size int32 [B, 2], image_id uint32 [B], sample uint32
            [B]; prompt float16 [B, S, S, P] of a model that takes prompts; and known_codes int32
            [B, S, S], negative = not known, and prompt_weight float32 [B], where there are any.
        seed: uint32.
        guidance_weight: float32; not looked at if the sampler's is None.
        model: the model.
        sampler: all else of how maps are drawn.
        mesh: over whose devices the rows are split.
    """

    def on_device(
        params: Params, rows: dict[str, jax.Array], seed: jax.Array, weight: jax.Array
    ) -> Maps:
        keys = row_keys(seed, rows["image_id"], rows["sample"])
        chosen = dataclasses.replace(sampler, guidance_weight=weight) if sampler.guided else sampler
        told = ("known_codes", "prompt", "prompt_weight")
        prompts = {name: rows[name] for name in told if name in rows}
        drawn = model.sample(
            params, rows["image"], rows["size"], keys, chosen, rows.get("features"), **prompts
        )
        finite = jnp.isfinite(drawn.certainty).all((1, 2))
        return Maps(drawn.codes, drawn.certainty, drawn.x0.astype(jnp.float16), finite)

    # Mapped by hand: no row needs another, so there is nothing for devices to say to each other.
    whole, split = jax.P(), jax.P(mesh_lib.AXES)
    mapped = jax.shard_map(
        on_device, mesh=mesh, in_specs=(whole, split, whole, whole), out_specs=split,
        check_vma=False,
    )  # fmt: skip
    return mapped(params, rows, seed, guidance_weight)


def row_keys(seed: jax.Array, image_id: jax.Array, sample: jax.Array) -> jax.Array:
    """PRNG keys [B] of the maps that are drawn.

    Args:
        seed: uint32.
        image_id: uint32 [B], see `transforms.image_id`.
        sample: uint32 [B], number of the sample.
    """

    def key(image_id: jax.Array, sample: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), image_id), sample)

    return jax.vmap(key)(image_id, sample)


def compiled(
    model: Model,
    params: Params,
    sampler: Sampler,
    mesh: Mesh,
    num_rows: int,
    on_compile: Callable[[], None] | None = None,
    prompted: Prompted = NO_PROMPTS,
) -> Callable[[dict[str, np.ndarray], int], Maps]:
    """The program for these rows, `(rows, seed) -> Maps`; compiled if there is none yet.

    Args:
        model: the model.
        params: its parameters, on every device of the mesh.
        sampler: how maps are drawn.
        mesh: see `lower`.
        num_rows: see `lower`.
        on_compile: called, from another thread, when it has been compiling for a few seconds; not
            for a program that comes from a cache.
        prompted: see `lower`.
    """
    leaves, tree = jax.tree.flatten(params)
    shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
    with compilation_cache.when_slow(on_compile):
        program = _compile(
            model, tree, shapes, _without_weight(sampler), mesh, num_rows, prompted, _x64()
        )
    whole, split = mesh_lib.replicated(mesh), mesh_lib.batch_sharding(mesh)
    weight = jax.device_put(np.float32(sampler.guidance_weight or 0), whole)

    def run(rows: dict[str, np.ndarray], seed: int) -> Maps:
        on_mesh = jax.device_put(rows, split)
        maps: Maps = program(params, on_mesh, jax.device_put(np.uint32(seed), whole), weight)
        return maps

    return run


@functools.lru_cache(maxsize=32)
def _compile(
    model: Model,
    params_tree: Any,
    params_shapes: tuple[jax.ShapeDtypeStruct, ...],
    sampler: Sampler,
    mesh: Mesh,
    num_rows: int,
    prompted: Prompted,
    x64: bool,
) -> jax.stages.Compiled:
    """All arguments tell programs apart; `x64` is what jax compiles under."""
    del x64
    params = jax.tree.unflatten(params_tree, params_shapes)
    jitted, arguments = _drawing(model, params, sampler, mesh, num_rows, prompted)
    if mesh.size > 1:
        program: jax.stages.Compiled = jitted.lower(*arguments).compile()
        return program
    split = mesh_lib.batch_sharding(mesh)
    made_of = ("draw", model, sampler, num_rows)
    return traces.program(jitted, arguments, made_of, shardings=split).compile()


def _x64() -> bool:
    return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]


def num_compiled() -> int:
    """Programs that this process has compiled so far."""
    return _compile.cache_info().misses


def _without_weight(sampler: Sampler) -> Sampler:
    """All samplers with guidance have one program, and all without another one."""
    return dataclasses.replace(sampler, guidance_weight=1.0 if sampler.guided else None)
