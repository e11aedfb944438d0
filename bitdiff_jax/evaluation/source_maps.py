"""Draws maps of a source's images: which of them a process draws, and from which input."""

from collections.abc import Iterator, Sequence

import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data import transforms
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.shuffled_images import other_image
from bitdiff_jax.inference import drawing, specks, upsampling
from bitdiff_jax.inference.drawing import Drawn, Item
from bitdiff_jax.inference.request import Request
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel import collective
from bitdiff_jax.parallel import mesh as mesh_lib


def draw_source(
    model: Model,
    params: Params,
    source: Source,
    sampler: Sampler,
    request: Request,
    *,
    num_images: int | None = None,
    only: Sequence[int] | None = None,
    shuffle_images: bool = False,
    mesh: Mesh | None = None,
) -> Iterator[Drawn]:
    """Draws maps for the images of a source, in its order; see `inference.drawing.draw`.

    Specks are removed from the codes as for a `Segmentation`, where `request.min_area` counts
    pixels of the first truth at its own size; and unless `request.edges` is 'nearest' or another
    image was shown, the codes are brought to the image's own size along its edges, again as there.

    With several processes each draws a share of the images on its own devices; all have the same
    number of batches. `run.evaluate` brings the shares together.

    Args:
        model: the model.
        params: parameters of the model.
        source: the images with their truths.
        sampler: how maps are drawn.
        request: number of maps per image, seed, batch size, and which pieces are specks.
        num_images: number of first images to use; None for all.
        only: places, among these, of the images to draw; None for all. It may be empty.
        shuffle_images: show the network another image's image, stretched to this one's shape;
            see `shuffled_images`.
        mesh: the device mesh; None takes all devices. Every process of the mesh has to call.

    Returns:
        An iterator over the images that `share` gives this process.

    Raises:
        InputError: a number is out of its range, the source is empty, or there is a single image to
            shuffle.
    """
    if num_images is not None and num_images < 1:
        raise InputError(f"num_images is {num_images}; use 1 or more")
    count = min(len(source), num_images or len(source))
    if not count:
        raise InputError("the source is empty: nothing to evaluate")
    chosen = range(count) if only is None else only
    if not len(chosen):
        return iter(())
    mesh = mesh_lib.make_mesh() if mesh is None else mesh
    items = _items(source, count, share(chosen, mesh), model.image_size, shuffle_images)
    most = len(share(chosen, mesh, block=0))
    every = drawing.draw(
        model, params, items, sampler, request, mesh=mesh, num_items=most, overlap=True
    )
    follows = request.edges == "image" and not shuffle_images
    return (
        _as_written(
            drawn,
            request.min_area,
            follows,
            specks.evidence(model.encoding, sampler.decoder, drawn.x0),
        )
        for drawn in every
    )


def _as_written(
    drawn: Drawn, min_area: specks.Area, follows_edges: bool, evidence: specks.Evidence | None
) -> Drawn:
    """The maps as `bitdiff segment` writes them."""
    # An image that could not be read has no truth.
    shape = drawn.labels[0].shape if drawn.labels else drawn.image.shape[:2]
    codes = specks.clean(drawn.codes, min_area, shape, evidence)
    sides = zip(drawn.original.shape, codes.shape[1:], strict=False)
    if follows_edges and drawn.labels and all(own > cells for own, cells in sides):
        codes = np.stack(
            [
                upsampling.at_image_size(each, certainty, drawn.original, min_area)
                for each, certainty in zip(codes, drawn.certainty, strict=True)
            ]
        )
    return drawn._replace(codes=codes, x0=None)


def draw_some(
    model: Model,
    params: Params,
    source: Source,
    places: Sequence[int],
    sampler: Sampler,
    request: Request,
    *,
    mesh: Mesh,
    num_images: int | None = None,
    shuffle_images: bool = False,
) -> dict[int, Drawn]:
    """Draws some images (again), by their place in the source; all processes have to call.

    `run.evaluate` describes the arguments.
    """
    alone = mesh_lib.process_block(mesh)[1] == 1
    own = share(places, mesh)

    def drawn() -> list[tuple[int, Drawn]]:
        images = draw_source(
            model,
            params,
            source,
            sampler,
            request,
            num_images=num_images,
            only=places,
            shuffle_images=shuffle_images,
            mesh=mesh,
        )
        return list(zip(own, images, strict=True))

    return dict(collective.of_all(drawn, alone))


def share(places: Sequence[int], mesh: Mesh, block: int | None = None) -> Sequence[int]:
    """The places of the images that this process (or another `block` of the mesh) draws.

    The first processes may have one image more than the others. Where there are more processes than
    images, some have none.
    """
    own, processes = mesh_lib.process_block(mesh)
    return places[own if block is None else block :: processes]


def _items(
    source: Source, count: int, places: Sequence[int], side: int, shuffle: bool
) -> Iterator[Item]:
    """The images of these places, read one by one."""
    shows = list(range(count))
    if shuffle:
        pictures = (source[i] for i in range(count))
        known = [(each["image"].shape[:2], transforms.image_id(each["name"])) for each in pictures]
        shows = other_image(*zip(*known, strict=True))

    def item(place: int) -> Item:
        own = source[place]
        shown = own if shows[place] == place else source[shows[place]]
        height, width = own["image"].shape[:2]
        size = transforms.resized_shape(height, width, side)
        return Item(own["name"], shown["image"], own["labels"], size, shown.get("features"))

    return map(item, places)
