"""The parameters of a pretrained encoder, from a file or from those that the package carries."""

import os
from typing import Any

import jax
import numpy as np

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders import params_files
from bitdiff_jax.nets.encoders.interface import Encoder

# Hashes of the files that come with the package, which do not state their own.
_OF_THE_PACKAGE = {"mobile_sam": "f924326b9e423b01c70253436ccba47f0e4af1216718f85dd3da703fade6a941"}


def path(encoder: Encoder, weights: str = "") -> str:
    """The file of an encoder's parameters.

    Args:
        encoder: the encoder.
        weights: a file; '' for the one that comes with the package.

    Raises:
        InputError: none is given, and the package carries none of this encoder.
    """
    if weights:
        return files.at_home(weights)
    bundled = params_files.bundled(encoder.name)
    if bundled is None:
        raise InputError(
            f"config.model.encoder.weights is empty, and the package carries no weights of "
            f"{encoder.name}; name a file of its published weights"
        )
    return os.fspath(bundled)


def load(encoder: Encoder, weights: str = "") -> Any:
    """The parameters, float32 arrays on the host; see `path`.

    Raises:
        InputError: see `path` and `params_files.load_params`; or the file that comes with the
            package is damaged.
    """
    place = path(encoder, weights)
    params = params_files.load_params(encoder, place)
    if not weights and encoder.name in _OF_THE_PACKAGE:
        found, right = params_files.weights_hash(params), _OF_THE_PACKAGE[encoder.name]
        if found != right:
            raise InputError(
                f"{place}: its tensors have the hash {found[:12]}, not {right[:12]}; install "
                "bitdiff_jax again"
            )
    return jax.tree.map(lambda x: np.asarray(x, np.float32), params)


def digest(encoder: Encoder, weights: str = "") -> str:
    """A hash of the file's tensors, in hexadecimal; see `path`."""
    return params_files.weights_hash(path(encoder, weights))
