"""What `bitdiff prepare --encoder NAME` does once the records are there."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bitdiff_jax.data.features import Cells


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --encoder and what belongs to it."""
    add = parser.add_argument
    add(
        "--encoder",
        metavar="NAME",
        help="write the features of a pretrained image encoder too, and those of the mirror "
        "images, so that a training on a CPU need not compute them: mobile_sam, "
        "efficientnet_lite0, ... or package.module:Class. Keep pictures at --size 512 or more",
    )
    add("--encoder_weights", default="", metavar="FILE", help="its parameters (the package's)")
    add("--encoder_size", type=int, default=0, metavar="N", help="side that it sees (its own)")


def write(
    args: argparse.Namespace, splits: list[str] | None, report: Callable[[int, int], None]
) -> str:
    """Writes the features; returns their folder.

    Raises:
        InputError: an unknown encoder, or weights that are missing or not its own.
    """
    import jax

    from bitdiff_jax.data.features import Cells
    from bitdiff_jax.data.image_inputs import encoder_input
    from bitdiff_jax.data.records import feature_cache
    from bitdiff_jax.nets.encoders import pretrained, registry

    encoder = registry.make(args.encoder, image_size=args.encoder_size or None)
    params = pretrained.load(encoder, args.encoder_weights)
    key = feature_cache.Key(
        encoder.name, encoder.image_size, pretrained.digest(encoder, args.encoder_weights)
    )
    apply = jax.jit(encoder.apply)

    def cells(image: np.ndarray) -> "Cells":
        given = encoder_input(image, encoder.image_size)
        size = given["encoder_size"]
        features = apply(params, given["encoder_image"][None], size[None])
        extent = (size[0] / encoder.stride, size[1] / encoder.stride)
        return Cells.of(np.asarray(features[0]), extent)

    def cells_of(item: dict[str, Any]) -> "tuple[Cells, Cells]":
        return cells(item["image"]), cells(item["image"][:, ::-1])

    return feature_cache.write(args.out, key, cells_of, splits=splits, report=report)
