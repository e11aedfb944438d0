"""What `bitdiff prepare --encoder NAME` computes once the records are there."""

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from bitdiff_jax.cli.options import natural

if TYPE_CHECKING:
    from bitdiff_jax.data.features import Cells


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --encoder and what belongs to it."""
    add = parser.add_argument
    add(
        "--encoder",
        metavar="NAME",
        help="also write the features of a pretrained image encoder, of the pictures and of their "
        "mirror images, so that a training on a CPU need not compute them: mobile_sam, or another "
        "of docs/encoders.md. Keep the pictures large for it: --size 512 or more",
    )
    add("--encoder_weights", default="", metavar="FILE", help="its parameters (the package's own)")
    add(
        "--encoder_size",
        type=natural,
        default=0,
        metavar="N",
        help="side in pixels of the square that it sees (its own)",
    )


class Encoding:
    """An encoder with its parameters, at work on the items of records."""

    def __init__(self, args: argparse.Namespace):
        """Makes the encoder and reads its parameters.

        Raises:
            InputError: an unknown encoder, or weights that are missing or not its own.
        """
        import jax

        from bitdiff_jax.data.records import feature_cache
        from bitdiff_jax.nets.encoders import pretrained, registry

        self._encoder = registry.make(args.encoder, image_size=args.encoder_size or None)
        self._params = pretrained.load(self._encoder, args.encoder_weights)
        self._apply = jax.jit(self._encoder.apply)
        self.key = feature_cache.key_of(self._encoder, args.encoder_weights)

    def cells_of(self, item: dict[str, Any]) -> "tuple[Cells, Cells]":
        """The cells of an item's picture and of its mirror image."""
        return self._cells(item["image"]), self._cells(item["image"][:, ::-1])

    def _cells(self, image: np.ndarray) -> "Cells":
        from bitdiff_jax.data.features import Cells
        from bitdiff_jax.data.image_inputs import encoder_input

        given = encoder_input(image, self._encoder.image_size)
        height, width = given["encoder_size"]
        features = self._apply(
            self._params, given["encoder_image"][None], np.array([[height, width]])
        )
        extent = (height / self._encoder.stride, width / self._encoder.stride)
        return Cells.of(np.asarray(features[0]), extent)
