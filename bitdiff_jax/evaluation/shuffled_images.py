"""Evaluation with shuffled images: which other image goes with an image's truth.

The score that a model then still has comes from the palette's prior of where regions lie and from
what images of a set have in common, not from the image.
"""

from collections.abc import Sequence

from bitdiff_jax.errors import InputError


def other_image(shapes: Sequence[tuple[int, int]], image_ids: Sequence[int]) -> list[int]:
    """Gives each image a partner: another image of as similar a shape as possible.

    Wide, tall and square images are put in one row each, ordered by aspect and then by image id.
    The partner of an image is the next one in its row, and that of the last one is the first. Where
    many images share a shape, all but one of them get a partner of exactly that shape; elsewhere
    the image is stretched a little. The order by id scatters names, so neighbouring frames of a
    film seldom become partners, and the order of the source plays no part. An image that is the
    only one of its orientation joins the longest row.

    Args:
        shapes: (height, width) of every image.
        image_ids: id of every image.

    Returns:
        The index of each image's partner: a permutation that leaves no image in its place.

    Raises:
        InputError: there are fewer than two images.
    """
    if len(shapes) < 2:
        raise InputError(
            f"shuffle_images needs at least 2 pictures to exchange, got {len(shapes)}; "
            "evaluate more of them"
        )
    rows: list[list[int]] = [[], [], []]
    for index, (height, width) in enumerate(shapes):
        rows[(width > height) - (width < height)].append(index)
    longest = max(rows, key=len)
    for row in rows:
        if len(row) == 1 and row is not longest:
            longest += row
            row.clear()
    partners = [0] * len(shapes)
    for row in rows:
        row.sort(key=lambda i: (shapes[i][1] / shapes[i][0], image_ids[i], i))
        for here, other in zip(row, row[1:] + row[:1], strict=True):
            partners[here] = other
    return partners
