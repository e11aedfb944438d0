"""Maps of all pictures of a source, in batches of one shape through one compiled function."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data import transforms
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.shuffled_images import other_image
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import mesh as mesh_lib

_SAMPLING = (
    "num_steps",
    "guidance_weight",
    "method",
    "eta",
    "clip",
    "variance",
    "eps_after_clip",
    "final",
    "decoder",
)


class Drawn(NamedTuple):
    """One picture and the maps drawn for it; h x w is its size in the network."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3], what the network saw
    labels: tuple[np.ndarray, ...]  # int32 [H, W], the truth of each annotator, at its own size
    codes: np.ndarray  # int32 [num_samples, h, w]


def sampling_settings(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The part of a config that `draw` hands to `Model.sample`."""
    return {name: config.sampling[name] for name in _SAMPLING}


def draw(
    model: Model,
    params: Params,
    source: Source,
    *,
    batch_size: int = 16,
    num_samples: int = 1,
    num_images: int | None = None,
    only: Sequence[int] | None = None,
    seed: int = 0,
    shuffle_images: bool = False,
    size: int | None = None,
    mesh: Mesh | None = None,
    num_steps: int = 8,
    guidance_weight: float | None = 1.0,
    **sampling: Any,
) -> Iterator[Drawn]:
    """Draws maps for the pictures of a source, in its order.

    All of a map's randomness comes from fold_in(fold_in(key(seed), image id), sample number), so
    neither its batch nor the number of devices, samples or other pictures changes what is drawn
    (beyond rounding: kernels for other batch sizes may add up in another order).

    With several processes each deals with a share of the pictures, on its own devices; all have the
    same number of batches. `run.evaluate` brings the shares together. Memory holds two batches.

    Args:
        model: the model.
        params: its parameters; copied to every device of the mesh unless they are on it already.
        source: the pictures.
        batch_size: maps drawn at a time, on all processes together; raised to a multiple of the
            mesh's devices. The last batch is filled up, so there is one shape and one compilation.
        num_samples: maps per picture.
        num_images: use the first so many pictures; None for all.
        only: places of those to draw for among them; None for all. May be none at all.
        seed: of all randomness, in 0..2^32 - 1.
        shuffle_images: show the network another picture's image, stretched to this one's shape;
            see `pairing`.
        size: longest side and square the pictures are brought to; the model's own by default.
        mesh: the devices; all of them, by default. Every process of the mesh has to call.
        num_steps: evaluations of the network per map.
        guidance_weight: as in `Model.sample`; 0 costs no second half, like None.
        **sampling: other settings of `Model.sample`; each new value compiles anew.

    Returns:
        An iterator over the pictures that `share` gives this process.

    Raises:
        InputError: a number out of its range, an empty source, a single picture to shuffle.
    """
    for name, value in (
        ("batch_size", batch_size),
        ("num_samples", num_samples),
        ("num_steps", num_steps),
        ("num_images", 1 if num_images is None else num_images),
        ("size", 1 if size is None else size),
    ):
        if value < 1:
            raise InputError(f"{name} is {value}; use 1 or more")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; use 0 to {2**32 - 1}")
    count = min(len(source), num_images or len(source))
    if not count:
        raise InputError("the source is empty: nothing to evaluate")
    if size is not None and size != model.image_size:
        model = dataclasses.replace(model, image_size=size)
    chosen = range(count) if only is None else only
    if not len(chosen):
        return iter(())
    mesh = mesh_lib.make_mesh() if mesh is None else mesh
    own = mesh_lib.local_mesh(mesh)
    program = functools.partial(
        _draw_batch,
        _on_mesh(params, mesh, own),
        model=model,
        mesh=own,
        seed=np.uint32(seed),
        guidance_weight=np.float32(guidance_weight) if guidance_weight else None,
        sampling=(("num_steps", num_steps), *sorted(sampling.items())),
    )
    mine = share(chosen, mesh)
    images, spare = _images(source, count, mine, chosen[0], model.image_size, shuffle_images)
    rows_at_once = -(-batch_size // mesh.size) * own.size
    # As many as the process with most pictures needs, so that none runs ahead of the others.
    num_batches = -(-len(share(chosen, mesh, block=0)) * num_samples // rows_at_once)
    rows = _drawn_rows(program, images, spare, num_samples, rows_at_once, num_batches)
    return _gather(rows, num_samples)


def share(places: Sequence[int], mesh: Mesh, block: int | None = None) -> Sequence[int]:
    """Which of the pictures this process (or another `block` of the mesh) draws for.

    The first process has most, at most one more than the others. Where there are more processes
    than pictures some have none.
    """
    own, processes = mesh_lib.process_block(mesh)
    return places[own if block is None else block :: processes]


class _Image(NamedTuple):
    name: str
    image: np.ndarray  # uint8 [S, S, 3]
    shape: tuple[int, int]  # of the valid rectangle
    labels: tuple[np.ndarray, ...]


def _images(
    source: Source, count: int, places: Sequence[int], first: int, size: int, shuffle: bool
) -> tuple[Iterator[_Image], Callable[[], _Image]]:
    """The pictures of these places, and the first of all processes', to fill a batch with."""
    shows = list(range(count))
    if shuffle:
        items = (source[i] for i in range(count))
        known = [(item["image"].shape[:2], transforms.image_id(item["name"])) for item in items]
        shows = other_image(*zip(*known, strict=True))

    def picture(index: int) -> _Image:
        return _image(source, index, shows[index], size)

    return map(picture, places), functools.partial(picture, first)


def _image(source: Source, index: int, shown: int, size: int) -> _Image:
    item = source[index]
    height, width = item["image"].shape[:2]
    shape = transforms.resized_shape(height, width, size)
    image = item["image"] if shown == index else source[shown]["image"]
    padded = transforms.pad_to_square(transforms.resize_image(image, shape), size)
    return _Image(item["name"], padded, shape, item["labels"])


def _drawn_rows(
    program: Any,
    images: Iterator[_Image],
    spare: Callable[[], _Image],
    num_samples: int,
    batch_size: int,
    num_batches: int,
) -> Iterator[tuple[_Image, np.ndarray]]:
    """(picture, codes [S, S]), the samples of a picture in succession."""
    rows = ((picture, sample) for picture in images for sample in range(num_samples))
    pending: tuple[list[tuple[_Image, int]], jax.Array] | None = None
    batch: list[tuple[_Image, int]] = []
    for _ in range(num_batches):
        last = batch[-1:]
        batch = list(itertools.islice(rows, batch_size))
        filler = (batch or last)[-1:] or [(spare(), 0)]
        filled = batch + filler * (batch_size - len(batch))
        codes = program(
            image=np.stack([picture.image for picture, _ in filled]),
            size=np.asarray([picture.shape for picture, _ in filled], np.int32),
            image_id=np.asarray([transforms.image_id(p.name) for p, _ in filled], np.uint32),
            sample=np.asarray([sample for _, sample in filled], np.uint32),
        )
        # The devices draw this batch while the host deals with the one before.
        if pending:
            yield from _unpack(*pending)
        pending = batch, codes
    if pending:
        yield from _unpack(*pending)


def _unpack(
    batch: list[tuple[_Image, int]], codes: jax.Array
) -> Iterator[tuple[_Image, np.ndarray]]:
    return zip((picture for picture, _ in batch), np.asarray(codes), strict=False)


def _gather(rows: Iterator[tuple[_Image, np.ndarray]], num_samples: int) -> Iterator[Drawn]:
    while group := list(itertools.islice(rows, num_samples)):
        picture = group[0][0]
        height, width = picture.shape
        codes = np.stack([codes[:height, :width] for _, codes in group])
        yield Drawn(picture.name, picture.image[:height, :width], picture.labels, codes)


def _draw_batch(
    params: Params, *, model: Model, mesh: Mesh, seed: Any, guidance_weight: Any,
    sampling: Any, **arrays: np.ndarray,
) -> jax.Array:  # fmt: skip
    rows = jax.device_put(arrays, mesh_lib.batch_sharding(mesh))
    return _sample(
        params, rows, seed, guidance_weight, model=model, mesh=mesh, sampling=sampling
    )  # fmt: skip


# At module level, with the model as a static value: every evaluation of a training finds it
# compiled.
@functools.partial(jax.jit, static_argnames=("model", "mesh", "sampling"))
def _sample(
    params: Params, rows: dict[str, jax.Array], seed: jax.Array,
    guidance_weight: jax.Array | None, *, model: Model, mesh: Mesh, sampling: Any,
) -> jax.Array:  # fmt: skip
    def row_key(seed: jax.Array, image_id: jax.Array, sample: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), image_id), sample)

    def on_device(
        params: Params, rows: dict[str, jax.Array], seed: jax.Array, weight: jax.Array | None
    ) -> jax.Array:
        keys = jax.vmap(functools.partial(row_key, seed))(rows["image_id"], rows["sample"])
        drawn = model.sample(
            params, rows["image"], rows["size"], keys, guidance_weight=weight, **dict(sampling)
        )
        return drawn.codes

    # Mapped by hand: no row needs another, so there is nothing for devices to say to each other.
    whole, split = jax.P(), jax.P(mesh_lib.AXES)
    specs = (whole, split, whole, whole)
    return jax.shard_map(
        on_device, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False
    )(params, rows, seed, guidance_weight)  # fmt: skip


def _on_mesh(params: Params, mesh: Mesh, own: Mesh) -> Params:
    """A whole copy of the parameters on each of this process's devices."""
    everywhere, here = mesh_lib.replicated(mesh), mesh_lib.replicated(own)

    def on_devices_of_mesh(leaf: Any) -> bool:
        return isinstance(leaf, jax.Array) and leaf.sharding.device_set == everywhere.device_set

    leaves, tree = jax.tree.flatten(params)
    split = [i for i, x in enumerate(leaves) if on_devices_of_mesh(x) and not x.is_fully_replicated]
    if split:  # over processes, perhaps: only a program of all of them can gather
        gathered = jax.jit(lambda x: x, out_shardings=everywhere)([leaves[i] for i in split])
        for i, leaf in zip(split, gathered, strict=True):
            leaves[i] = leaf

    def place(leaf: Any) -> jax.Array:
        if not on_devices_of_mesh(leaf):
            return jax.device_put(leaf, here)
        if own.size == mesh.size:
            return leaf
        copies = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, here, copies)

    return jax.tree.unflatten(tree, [place(leaf) for leaf in leaves])
