"""Maps of a source's pictures: which of them a process draws, and what the network is shown."""

from collections.abc import Iterator, Sequence

from jax.sharding import Mesh

from bitdiff_jax.data import transforms
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.shuffled_images import other_image
from bitdiff_jax.inference import drawing, specks
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
    """Draws maps for the pictures of a source, in its order; see `inference.drawing.draw`.

    Their codes are without specks, as in what a `Segmentation` gives: pixels of `request.min_area`
    are those of the first truth at its own size.

    With several processes each deals with a share of the pictures, on its own devices; all have the
    same number of batches. `run.evaluate` brings the shares together.

    Args:
        model: the model.
        params: its parameters.
        source: the pictures.
        sampler: how maps are drawn.
        request: how many, from which seed, how many at once, and which pieces are specks.
        num_images: use the first so many pictures; None for all.
        only: places of those to draw for among them; None for all. May be none at all.
        shuffle_images: show the network another picture's image, stretched to this one's shape;
            see `shuffled_images`.
        mesh: the devices; all of them, by default. Every process of the mesh has to call.

    Returns:
        An iterator over the pictures that `share` gives this process.

    Raises:
        InputError: a number out of its range, an empty source, a single picture to shuffle.
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
    return (_without_specks(drawn, request.min_area) for drawn in every)


def _without_specks(drawn: Drawn, min_area: specks.Area) -> Drawn:
    # A picture that could not be read has no truth.
    shape = drawn.labels[0].shape if drawn.labels else drawn.image.shape[:2]
    return drawn._replace(codes=specks.clean(drawn.codes, min_area, shape))


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
    """Draws some pictures (again), by their place in the source; all processes have to call.

    The arguments are those of `run.evaluate`.
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
    """Which of the pictures this process (or another `block` of the mesh) draws for.

    The first process has most, at most one more than the others. Where there are more processes
    than pictures some have none.
    """
    own, processes = mesh_lib.process_block(mesh)
    return places[own if block is None else block :: processes]


def _items(
    source: Source, count: int, places: Sequence[int], side: int, shuffle: bool
) -> Iterator[Item]:
    """The pictures of these places, read one by one."""
    shows = list(range(count))
    if shuffle:
        pictures = (source[i] for i in range(count))
        known = [(each["image"].shape[:2], transforms.image_id(each["name"])) for each in pictures]
        shows = other_image(*zip(*known, strict=True))

    def item(place: int) -> Item:
        own = source[place]
        shown = own["image"] if shows[place] == place else source[shows[place]]["image"]
        height, width = own["image"].shape[:2]
        size = transforms.resized_shape(height, width, side)
        return Item(own["name"], shown, own["labels"], size)

    return map(item, places)
