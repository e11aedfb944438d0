"""One image on which maps are drawn again and again, under constraints or without."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from bitdiff_jax.data import transforms
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.inference import asked, drawing, imposed, imposed_codes, programs, specks
from bitdiff_jax.inference.clicked import Clicks
from bitdiff_jax.inference.imposed import Constraints, Imposed
from bitdiff_jax.inference.request import Request
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.model import Model, Params


class Canvas:
    """An image as a model is shown it.

    What the encoder makes of the image, and the last free samples, are computed once and kept.

    Attributes:
        name: of the image, from which, with the seed, its randomness is drawn.
        image: uint8 [h, w, 3].
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        name: str,
        image: np.ndarray,
        *,
        mesh: Mesh,
        on_compile: Callable[[], None] | None = None,
    ):
        """A canvas; nothing is computed yet.

        Args:
            model: the model.
            params: its parameters, see `placement.placed`.
            name: of the image.
            image: uint8 [h, w, 3].
            mesh: see `drawing.draw`.
            on_compile: see `drawing.draw`.
        """
        self.name = name
        self.image = image
        self._model = model
        self._params = params
        self._mesh = mesh
        self._on_compile = on_compile
        self._encoded: jax.Array | None = None
        self._free: tuple[tuple[Any, ...], drawing.Drawn] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the image."""
        height, width = self.image.shape[:2]
        return height, width

    def groups(self, constraints: Constraints) -> imposed.Groups:
        """The groups of pixels that constraints make; raises InputError, see `groups_of`."""
        resolution = transforms.resized_shape(*self.shape, self._model.image_size)
        return imposed.groups_of(
            constraints,
            self.shape,
            resolution,
            self._model.encoding.num_codes,
            self._model.palette.background,
        )

    def draw(
        self, sampler: Sampler, request: Request, constraints: Constraints | None = None
    ) -> Segmentation:
        """Draws the image's maps.

        Args:
            sampler: how maps are drawn.
            request: how many, from which seed, how many at once.
            constraints: what they hold; without any they are those of `drawing.draw`.

        Raises:
            InputError: constraints that no map can meet, see `imposed.groups_of`; or see
                `drawing.draw`.
        """
        if not constraints:
            return self._result(self._free_samples(sampler, request), sampler, request)
        weight = constraints.prompt_weight
        told = constraints
        constraints, prompt = asked.for_model(told, self._model, self.shape)
        clicks = asked.clicks_of(told, self._model, self.shape)
        # All is checked before anything is drawn.
        groups = self.groups(constraints) if constraints else None
        free = self._free_samples(sampler, request, prompt, weight)
        if groups is None:
            return self._result(free, sampler, request, clicks=clicks)
        evidence = specks.evidence(self._model.encoding, sampler.decoder, free.x0)
        held = imposed_codes.of_free_samples(
            groups, free.codes, evidence, self._model.encoding.num_codes,
            self._model.palette.background,
        )  # fmt: skip
        drawn = self._draw(sampler, request, prompt, weight, held.on_cells())
        return self._result(drawn, sampler, request, held, clicks)

    def _free_samples(
        self,
        sampler: Sampler,
        request: Request,
        prompt: np.ndarray | None = None,
        prompt_weight: float = 1.0,
    ) -> drawing.Drawn:
        """Samples on which nothing is imposed; the last ones are kept."""
        told = None if prompt is None else (prompt.tobytes(), prompt_weight)
        made_of = sampler, request, told
        if self._free is None or self._free[0] != made_of:
            self._free = made_of, self._draw(sampler, request, prompt, prompt_weight)
        return self._free[1]

    def _draw(
        self,
        sampler: Sampler,
        request: Request,
        prompt: np.ndarray | None = None,
        prompt_weight: float = 1.0,
        known_codes: np.ndarray | None = None,
    ) -> drawing.Drawn:
        item = drawing.Item(
            self.name, self.image, encoded=self._features(), known_codes=known_codes,
            prompt=prompt, prompt_weight=prompt_weight,
        )  # fmt: skip
        known = known_codes is not None
        # The weight with which the program is the one without a weight, see `Model.sample`.
        by_derivative = known and not self._model.prompts.codes
        idle = 0 if by_derivative else 1
        told = known or prompt is not None
        prompted = programs.Prompted(known, told and prompt_weight != idle)
        (drawn,) = drawing.draw(
            self._model, self._params, [item], sampler,
            request.with_at_most(request.num_samples), mesh=self._mesh,
            on_compile=self._on_compile, prompted=prompted,
        )  # fmt: skip
        return drawn

    def _features(self) -> jax.Array | None:
        """What the encoder makes of the image; None for a model without one."""
        if self._encoded is None:
            encode = drawing.split_encoder(self._model, self._params)[1]
            if encode is not None:
                size = transforms.resized_shape(*self.shape, self._model.image_size)
                self._encoded = encode(self.image, size)
        return self._encoded

    def _result(
        self,
        drawn: drawing.Drawn,
        sampler: Sampler,
        request: Request,
        held: Imposed | None = None,
        clicks: Clicks | None = None,
    ) -> Segmentation:
        found = segmentation_of(self._model, drawn, self.image, sampler, request, held)
        return dataclasses.replace(found, clicks=clicks)


def segmentation_of(
    model: Model,
    drawn: drawing.Drawn,
    image: np.ndarray,
    sampler: Sampler,
    request: Request,
    held: Imposed | None = None,
) -> Segmentation:
    """What was drawn of an image, as its segmentation.

    Args:
        model: that drew.
        drawn: the maps.
        image: uint8 [h, w, 3], at its own size.
        sampler: how they were drawn.
        request: what was asked for.
        held: what they hold.
    """
    return Segmentation(
        image=image,
        codes=drawn.codes,
        certainty=drawn.certainty,
        seed=request.seed,
        name=drawn.name,
        num_codes=model.encoding.num_codes,
        min_area=request.min_area,
        edges=request.edges,
        has_background=model.palette.background,
        drawn=specks.evidence(model.encoding, sampler.decoder, drawn.x0),
        guided=sampler.guided,
        held=held,
        encoded=drawn.encoded,
    )
