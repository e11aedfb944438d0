"""The golden vectors' weights of the reference network, which are functions of their names."""

import zlib

import numpy as np

from bitdiff_jax.nets import UNet, reference_names


def weight(torch_name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight, in torch's layout."""
    r = np.random.default_rng(zlib.crc32(torch_name.encode())).standard_normal(shape)
    r = r.astype(np.float32)
    if torch_name.endswith("bias"):
        return np.float32(0.05) * r
    if len(shape) == 1:
        return np.float32(1.0) + np.float32(0.1) * r
    return r / np.float32(np.sqrt(np.prod(shape[1:])))


def weights(names, shapes) -> dict[str, np.ndarray]:
    """All weights by name."""
    return {
        str(name): weight(
            str(name), tuple(int(n) for n in str(shape).strip("()").split(",") if n.strip())
        )
        for name, shape in zip(names, shapes, strict=True)
    }


def parameters(net: UNet, names, shapes, dtype=np.float32) -> dict:
    """`{'params': ...}` with the golden vectors' weights."""
    arrays = {name: each.astype(dtype) for name, each in weights(names, shapes).items()}
    return {"params": reference_names.parameters(net, arrays)}
