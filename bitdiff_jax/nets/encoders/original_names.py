"""Published tensors on their way to an encoder's own parameters; nothing may be left over."""

from collections.abc import Mapping

import numpy as np

from bitdiff_jax.errors import InputError


class Originals:
    """The tensors of a published file, which are taken one after another.

    Args:
        path: the file, for messages.
        tensors: arrays by the names of the file, laid out as PyTorch does.
        encoder: the encoder's name, for messages.
    """

    def __init__(self, path: str, tensors: Mapping[str, np.ndarray], encoder: str):
        self.path, self.encoder = path, encoder
        self._tensors = dict(tensors)
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def within(self, prefix: str) -> "Originals":
        """Those whose names begin with the prefix, without it; or all, if there is none."""
        n = len(prefix)
        inner = {key[n:]: each for key, each in self._tensors.items() if key.startswith(prefix)}
        return Originals(self.path, inner or self._tensors, self.encoder)

    def without(self, prefixes: tuple[str, ...]) -> "Originals":
        """Those whose names begin with none of the prefixes."""
        kept = {k: each for k, each in self._tensors.items() if not k.startswith(prefixes)}
        return Originals(self.path, kept, self.encoder)

    def take(self, name: str) -> np.ndarray:
        """The tensor of that name.

        Raises:
            InputError: there is none.
        """
        if name not in self._tensors:
            raise InputError(
                f"{self.path}: has no tensor {name!r}, which {self.encoder} needs; give the "
                f"weights of {self.encoder}"
            )
        self._taken.add(name)
        return self._tensors[name]

    def check_all_taken(self, ignored: tuple[str, ...] = ()) -> None:
        """Raises InputError if a tensor was not taken, unless its name has one of the endings."""
        for name in self._tensors.keys() - self._taken:
            if not name.endswith(ignored):
                raise InputError(
                    f"{self.path}: has a tensor {name!r}, which {self.encoder} has no place for; "
                    f"give the weights of {self.encoder}"
                )


def fold(
    originals: Originals, convolution: str, norm: str, epsilon: float
) -> dict[str, np.ndarray]:
    """A convolution and the batch norm after it, in evaluation, as one convolution.

    Args:
        originals: the published tensors.
        convolution: name of the convolution.
        norm: name of the batch norm; none is there if the convolution has a bias.
        epsilon: what the norm adds to a variance.

    Returns:
        'weight' [out, in, h, w] and 'bias' [out].
    """
    weight = originals.take(f"{convolution}.weight")
    if f"{convolution}.bias" in originals:
        return {"weight": weight, "bias": originals.take(f"{convolution}.bias")}
    scale, shift, mean, variance = (
        originals.take(f"{norm}.{each}").astype(np.float64)
        for each in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + epsilon)
    return {
        "weight": (weight * scale[:, None, None, None]).astype(np.float32),
        "bias": (shift - mean * scale).astype(np.float32),
    }
