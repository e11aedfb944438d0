"""The drawing engine: images in, label maps out, in batches of one shape.

Use, evaluation, benchmarks and export draw through `draw` alone.
"""

import collections
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data import transforms
from bitdiff_jax.data.features import Features
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.image_condition import IMAGE_CHANNELS
from bitdiff_jax.inference import placement, programs
from bitdiff_jax.inference.encoded_image import EncodedImage
from bitdiff_jax.inference.request import Request
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import mesh as mesh_lib


class Item(NamedTuple):
    """An image to draw maps of."""

    name: str  # from which, with the seed, its randomness is drawn
    image: np.ndarray  # uint8 [h, w, 3], of any size
    labels: tuple[np.ndarray, ...] = ()  # its true maps, if there are any; handed through
    # (h', w') of the rectangle that it fills in the network; None keeps the image's own aspect.
    size: tuple[int, int] | None = None
    features: Features | None = None  # those of the image, if an encoder has computed them before
    encoded: jax.Array | None = None  # what `programs.encode` made of the image before
    # int32 [num_samples, h', w'], codes that are imposed on each map, negative where none is.
    known_codes: np.ndarray | None = None
    # float16 [h', w', P], see `bitdiff_jax.prompts`; None says nothing.
    prompt: np.ndarray | None = None
    prompt_weight: float = 1.0  # of the guidance by these


class Drawn(NamedTuple):
    """An image and the maps drawn of it; h x w is its size in the network."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3], what the network saw
    labels: tuple[np.ndarray, ...]  # int32 [H, W], the truth of each annotator, at its own size
    codes: np.ndarray  # int32 [num_samples, h, w]
    certainty: np.ndarray  # float32 [num_samples, h, w]
    # float16 [num_samples, h, w, C], from which the codes were read; None once specks are gone.
    x0: np.ndarray | None
    original: np.ndarray  # uint8 [H, W, 3], the image as it was given
    encoded: EncodedImage | None = None  # None without an encoder


def draw(
    model: Model,
    params: Params,
    items: Iterable[Item],
    sampler: Sampler,
    request: Request,
    *,
    mesh: Mesh | None = None,
    num_items: int | None = None,
    overlap: bool = False,
    on_compile: Callable[[], None] | None = None,
    prompted: programs.Prompted = programs.NO_PROMPTS,
    on_batch: Callable[[int], None] | None = None,
) -> Iterator[Drawn]:
    """Draws maps of images, in their order.

    All of a map's randomness comes from fold_in(fold_in(key(seed), image id), sample number), where
    the id is made of the name. So neither its batch nor the number of devices, samples or other
    images changes what is drawn (beyond rounding: kernels for other batch sizes may add up in
    another order, and a bit that close to 0 may fall to either side).

    With several processes each draws its own items, on its own devices. The program is compiled
    once for each (model, sampler but for its weight, mesh, rows at once), for the whole process.

    Args:
        model: the model.
        params: its parameters; brought to where `placement.placed` wants them, if need be.
        items: the images; taken one by one as room arises.
        sampler: how maps are drawn.
        request: how many, from which seed, how many at once.
        mesh: the devices; all of them, by default. Every process of the mesh has to call.
        num_items: draw the batches that so many items need, with blank rows where there are fewer,
            so that no process runs ahead of the one that has most; None for those of the items.
        overlap: let the devices draw a batch while the caller deals with the one before: items are
            then taken a batch ahead, and memory holds two.
        on_compile: called, from another thread, when a program has been compiling for a few
            seconds; not for one that comes from a cache.
        prompted: whether the items' `known_codes` and `prompt_weight` are looked at: by another
            program.
        on_batch: called before each batch, once its images are encoded, with the number of maps
            that were begun before it.

    Returns:
        An iterator over the items, each as soon as all of its maps are there.

    Raises:
        InputError: from the iterator: not enough memory, or parameters that are not finite.
    """
    mesh = mesh_lib.make_mesh() if mesh is None else mesh
    own = mesh_lib.local_mesh(mesh)
    params, encode = split_encoder(model, placement.placed(model, params, mesh))
    num_rows = -(-request.batch_size // mesh.size) * own.size
    num_batches = None if num_items is None else -(-num_items * request.num_samples // num_rows)
    return _draw(
        model, params, items, sampler, request, own, num_rows, num_batches, overlap, on_compile,
        on_batch, encode, prompted,
    )  # fmt: skip


Encode = Callable[[np.ndarray, tuple[int, int]], jax.Array]  # see programs.encode


def split_encoder(model: Model, params: Params) -> tuple[Params, Encode | None]:
    """The parameters without the encoder's, and the encoder as a function, if there is one."""
    if model.features is None:
        return params, None
    encoder = {name: tree for name, tree in params.items() if name == "encoder"}
    others = {name: tree for name, tree in params.items() if name != "encoder"}
    return others, functools.partial(programs.encode, model, encoder)


@dataclasses.dataclass
class _Image:
    """An item on its way through; its rows may fall into several batches."""

    item: Item
    arrays: Mapping[str, np.ndarray | jax.Array]  # of a row: what the network is shown of the image
    shown: np.ndarray  # uint8 [h, w, 3]
    size: tuple[int, int]  # of the valid rectangle
    side: int  # of the square that the network draws
    image_id: int
    codes: list[np.ndarray] = dataclasses.field(default_factory=list)
    certainty: list[np.ndarray] = dataclasses.field(default_factory=list)
    x0: list[np.ndarray] = dataclasses.field(default_factory=list)

    def finished(self) -> Drawn:
        features = self.arrays.get("features")
        return Drawn(
            self.item.name,
            self.shown,
            self.item.labels,
            np.stack(self.codes),
            np.stack(self.certainty),
            np.stack(self.x0),
            self.item.image,
            None if features is None else EncodedImage(np.asarray(features, np.float16), self.side),
        )


_Row = tuple[_Image, int]  # and the number of the sample


def _draw(
    model: Model,
    params: Params,
    items: Iterable[Item],
    sampler: Sampler,
    request: Request,
    mesh: Mesh,
    num_rows: int,
    num_batches: int | None,
    overlap: bool,
    on_compile: Callable[[], None] | None,
    on_batch: Callable[[int], None] | None,
    encode: Encode | None,
    prompted: programs.Prompted,
) -> Iterator[Drawn]:
    waiting: collections.deque[_Image] = collections.deque()
    in_flight: collections.deque[tuple[list[_Row], programs.Maps]] = collections.deque()

    def rows() -> Iterator[_Row]:
        for item in items:
            image = _prepare(item, model, encode)
            waiting.append(image)
            yield from ((image, sample) for sample in range(request.num_samples))

    def fetched(most: int) -> Iterator[Drawn]:
        """Waits until at most so many batches are in flight; gives what is complete by then."""
        while len(in_flight) > most:
            with _told_in_one_line(request.batch_size):
                _hand_out(*in_flight.popleft())
        while waiting and len(waiting[0].codes) == request.num_samples:
            yield waiting.popleft().finished()

    every, program = rows(), None
    for number in itertools.count():
        if number == num_batches:
            break
        batch = list(itertools.islice(every, num_rows))
        if num_batches is None and not batch:
            break
        if on_batch is not None:
            on_batch(number * num_rows)
        with _told_in_one_line(request.batch_size):
            if program is None:
                program = programs.compiled(
                    model, params, sampler, mesh, num_rows, on_compile, prompted
                )
            arrays = _arrays(batch, num_rows, model, prompted)
            in_flight.append((batch, program(arrays, request.seed)))
        yield from fetched(most=int(overlap))
    yield from fetched(most=0)


def _prepare(item: Item, model: Model, encode: Encode | None) -> _Image:
    arrays, shown, size = prepare(item, model, encode)
    return _Image(item, arrays, shown, size, model.image_size, transforms.image_id(item.name))


def prepare(
    item: Item, model: Model, encode: Encode | None
) -> tuple[dict[str, np.ndarray | jax.Array], np.ndarray, tuple[int, int]]:
    """What the network is shown of an image.

    Args:
        item: the image.
        model: the model.
        encode: its encoder, see `split_encoder`.

    Returns:
        The arrays of a row, see `programs.image_rows`; the image at the size of the label map,
        uint8 [h, w, 3]; and (h, w), the valid rectangle.
    """
    height, width = item.image.shape[:2]
    side, scale = model.image_size, model.image_scale
    size = item.size or transforms.resized_shape(height, width, side)
    larger = transforms.resize_image(item.image, (size[0] * scale, size[1] * scale))
    arrays: dict[str, np.ndarray | jax.Array] = {
        "image": transforms.pad_to_square(larger, side * scale)
    }
    if model.features is not None and item.features is not None:
        arrays["features"] = item.features.resampled(size, side, model.features.grid)
    elif item.encoded is not None:
        arrays["features"] = item.encoded
    elif encode is not None:
        arrays["features"] = encode(item.image, size)
    if model.prompts:
        arrays["prompt"] = prompt = _no_prompt(model)
        if item.prompt is not None:
            prompt[: size[0], : size[1]] = item.prompt
    shown = larger if scale == 1 else transforms.resize_image(item.image, size)
    return arrays, shown, size


def _no_prompt(model: Model) -> np.ndarray:
    return np.zeros((model.image_size, model.image_size, model.prompt_channels), np.float16)


def _arrays(
    batch: list[_Row], num_rows: int, model: Model, prompted: programs.Prompted
) -> dict[str, np.ndarray]:
    """The batch, filled up with its last row or, without any, with a blank image."""
    filled = batch + (batch[-1:] or [(_blank(model), 0)]) * (num_rows - len(batch))
    names = filled[0][0].arrays
    known = {}
    if prompted.known:
        known["known_codes"] = np.stack([_known(*row, model.image_size) for row in filled])
    if prompted.weighted:
        known["prompt_weight"] = np.array(
            [image.item.prompt_weight for image, _ in filled], np.float32
        )
    return {
        **{name: np.stack([image.arrays[name] for image, _ in filled]) for name in names},
        **known,
        "size": np.array([image.size for image, _ in filled], np.int32),
        "image_id": np.array([image.image_id for image, _ in filled], np.uint32),
        "sample": np.array([sample for _, sample in filled], np.uint32),
    }


def _known(image: _Image, sample: int, side: int) -> np.ndarray:
    """The codes that are imposed on a map, in the square that the network draws."""
    known = np.full((side, side), -1, np.int32)
    if image.item.known_codes is not None:
        height, width = image.size
        known[:height, :width] = image.item.known_codes[sample]
    return known


def _blank(model: Model) -> _Image:
    side = model.image_size
    arrays = {
        name: np.zeros(row.shape[1:], row.dtype)
        for name, row in programs.image_rows(model, 1).items()
    }
    if model.prompts:
        arrays["prompt"] = _no_prompt(model)
    nothing = np.zeros((0, 0, IMAGE_CHANNELS), np.uint8)
    return _Image(Item("", nothing), arrays, nothing, (side, side), side, 0)


def _hand_out(batch: list[_Row], maps: programs.Maps) -> None:
    """Gives each image of the batch its maps."""
    maps = jax.device_get(maps)
    if not maps.finite.all():
        raise InputError(
            "the model's parameters are not finite, so it draws nothing; use an earlier checkpoint"
        )
    for i, (image, _) in enumerate(batch):
        height, width = image.size
        # Copies: a view would keep the whole batch alive.
        image.codes.append(maps.codes[i, :height, :width].copy())
        image.certainty.append(maps.certainty[i, :height, :width].copy())
        image.x0.append(maps.x0[i, :height, :width].copy())


@contextlib.contextmanager
def _told_in_one_line(batch_size: int) -> Iterator[None]:
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise InputError(
            f"batch_size={batch_size}: the device has not enough memory to draw as many maps at "
            "once; lower it"
        ) from None
