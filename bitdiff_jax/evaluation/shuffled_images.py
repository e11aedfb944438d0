"""Which other picture's image goes with a picture's truth: evaluation with shuffled images.

What a model then still scores comes from the palette's prior of where regions lie and from what
pictures of a set have in common, not from looking.
"""

from collections.abc import Sequence

from bitdiff_jax.errors import InputError


def other_image(shapes: Sequence[tuple[int, int]], image_ids: Sequence[int]) -> list[int]:
    """Gives each picture another one, of as similar a shape as there is.

    Wide, tall and square pictures are put in a row each, ordered by aspect and then by image id,
    and everyone gets its successor, the last one the first. Where many pictures share a shape all
    but one of them so get a partner of exactly that shape; elsewhere the image is stretched
    a little. The order by id scatters names, so neighbouring frames of a film seldom become
    partners, and the order of the source plays no part. A picture that is the only one of its
    orientation joins the longest row.

    Args:
        shapes: (height, width) of every picture.
        image_ids: of every picture.

    Returns:
        The index of each picture's partner: a permutation that leaves no picture in its place.

    Raises:
        InputError: there are fewer than two pictures.
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
