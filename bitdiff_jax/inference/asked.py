"""What a caller asks of a map, for models that were trained with prompts (`bitdiff_jax.prompts`).

A prompt is followed, and not imposed: it makes maps that meet it probable. Points that are told to
a model without trained prompts change nothing of what is drawn: their region is read off the
samples (`clicks_of`).
"""

import dataclasses
import math
import numbers

import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.clicked import Clicks
from bitdiff_jax.inference.imposed import Constraints, at_cell
from bitdiff_jax.model import Model
from bitdiff_jax.posterior import points
from bitdiff_jax.posterior.constraints import Pairs


def for_model(
    constraints: Constraints, model: Model, shape: tuple[int, int]
) -> tuple[Constraints, np.ndarray | None]:
    """Constraints as a model can meet them, and what they ask of it as a prompt.

    Args:
        constraints: what is known and asked.
        model: that will draw.
        shape: (h, w) of the image.

    Returns:
        What is to be imposed, without what is asked; and the prompt, float16 [h', w', P] at the
        resolution of the network's map, None if nothing is asked of a model with prompts.

    Raises:
        InputError: something is asked that the model does not take; a point lies outside of the
            image or is both inside and outside of the region; the box is empty; or the number of
            regions is none.
    """
    inside, outside = (
        _raster_indices(getattr(constraints, name), name, shape) for name in ("inside", "outside")
    )
    _check_points(constraints, inside, outside, shape)
    imposed = dataclasses.replace(constraints, granularity=None, inside=(), outside=(), box=None)
    taken = model.prompts.channels(model.encoding.num_channels)
    if constraints.granularity is not None:
        _check_granularity(constraints.granularity, model)
    if constraints.box is not None:
        _check_box(constraints.box, shape)
    if "region" not in taken and constraints.box is not None:
        raise InputError(_not_taken("box", "region"))
    if "granularity" not in taken and constraints.granularity is not None:
        raise InputError(_not_taken("granularity", "granularity"))
    return imposed, _prompt(constraints, model, shape)


def clicks_of(constraints: Constraints, model: Model, shape: tuple[int, int]) -> Clicks | None:
    """The points of a region that is to be read off the samples of a model.

    Args:
        constraints: as `for_model`, which has checked them.
        model: that will draw.
        shape: (h, w) of the image.

    Returns:
        The points; None if there are none, or the model was trained with them.
    """
    if not constraints.inside or takes_points(model):
        return None
    inside, outside = (
        np.array(tuple(given), np.intp).reshape(-1, 2)
        for given in (constraints.inside, constraints.outside)
    )
    return Clicks.on(inside, outside, shape)


def takes_points(model: Model) -> bool:
    """Whether a model was trained with points of a region."""
    return "region" in model.prompts.channels(model.encoding.num_channels)


def _not_taken(name: str, kind: str) -> str:
    return (
        f"{name}: the model was not trained with this prompt; use one whose config has "
        f"model.prompts.{kind} above 0, or leave {name} out"
    )


def _raster_indices(given: Pairs, name: str, shape: tuple[int, int]) -> np.ndarray:
    where = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(shape)
    found = tuple(given)
    if not found:
        return np.zeros(0, np.int64)
    places = points.atoms_at(where, found, name)
    if places.ndim != 1:
        raise InputError(f"{name} must hold points (row, column), got {points.brief(given)}")
    return places


def _check_points(
    constraints: Constraints, inside: np.ndarray, outside: np.ndarray, shape: tuple[int, int]
) -> None:
    both = np.intersect1d(inside, outside)
    if both.size:
        row, column = divmod(int(both[0]), shape[1])
        raise InputError(
            f"outside: point (row {row}, column {column}) is inside as well; leave one of them out"
        )
    if outside.size and not inside.size and constraints.box is None:
        raise InputError(
            "outside: points lie outside of a region that nothing names; give a point inside of "
            "it, or its box"
        )


def _check_granularity(number: float, model: Model) -> None:
    real = isinstance(number, numbers.Real) and not isinstance(number, bool)
    if not real or not 1 <= number < math.inf:
        raise InputError(f"granularity is {number!r}; give the number of regions, 1 or more")
    most = model.encoding.num_codes - int(model.palette.background)
    if number > most:
        raise InputError(f"granularity is {number}; the model draws {most} regions at most")


def _check_box(box: tuple[int, int, int, int], shape: tuple[int, int]) -> None:
    wanted = f"(top, left, bottom, right) with 0 <= top < bottom <= {shape[0]} and 0 <= left < "
    try:
        top, left, bottom, right = (int(side) for side in box)
    except (TypeError, ValueError):
        raise InputError(f"box is {points.brief(box)}; give {wanted}right <= {shape[1]}") from None
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise InputError(f"box is {points.brief(box)}; give {wanted}right <= {shape[1]}")


def _prompt(constraints: Constraints, model: Model, shape: tuple[int, int]) -> np.ndarray | None:
    """The raster, float16 [h', w', P]; None if nothing is asked."""
    taken = model.prompts.channels(model.encoding.num_channels)
    of_region = "region" in taken and bool(constraints.inside or constraints.box)
    if not of_region and constraints.granularity is None:
        return None
    resolution = transforms.resized_shape(*shape, model.image_size)
    prompt = np.zeros((*resolution, model.prompt_channels), np.float16)
    if constraints.granularity is not None:
        number = constraints.granularity + model.palette.background
        prompt[..., taken["granularity"]] = 1, (math.log2(number) - 3) / 2
    if not of_region:
        return prompt
    marks = prompt[..., taken["region"]]
    for value, marked in ((1, constraints.inside), (-1, constraints.outside)):
        for point in marked:
            marks[(*at_cell(point, shape, resolution), 0)] = value
    if constraints.box is not None:
        top, left, bottom, right = constraints.box
        (first_row, first_column) = at_cell((top, left), shape, resolution)
        (last_row, last_column) = at_cell((bottom - 1, right - 1), shape, resolution)
        marks[first_row : last_row + 1, first_column : last_column + 1, 1] = 1
    return prompt
