"""Image encoders: networks trained elsewhere whose features a model draws from.

    encoder = make("mobile_sam", image_size=1024)
    params = load_params(encoder, bundled("mobile_sam"))
    features = encoder.apply(params, image, size)  # uint8 [B, N, N, 3] -> [B, N/16, N/16, 256]

`interface` says what an encoder is, `registry` makes one by its name, and `params_files` reads and
writes its parameters. Each encoder is tested equal to its original.
"""

from bitdiff_jax.nets.encoders.interface import Encoder
from bitdiff_jax.nets.encoders.params_files import (
    bundled,
    load_params,
    save_params,
    weights_hash,
)
from bitdiff_jax.nets.encoders.registry import NAMES, make

__all__ = ["NAMES", "Encoder", "bundled", "load_params", "make", "save_params", "weights_hash"]
