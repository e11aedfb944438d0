"""What every reader returns: a file's tensors by name, and its name for messages."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from bitdiff_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class NamedTensors:
    """The contents of one file of weights.

    Attributes:
        path: the file, for messages.
        tensors: arrays by the names that the file gives them, in the file's order.
        metadata: what the file says about itself, texts by name; empty for most formats.
    """

    path: str
    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


def broken(path: str, kind: str, why: str) -> InputError:
    """The error for a file that begins like one of its kind, but cannot be read."""
    return InputError(f"{path}: is not a whole {kind} file ({why}); fetch or copy it again")
