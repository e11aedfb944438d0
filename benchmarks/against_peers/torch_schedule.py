"""The input-scaled cosine schedule and the loss weight w(t) in PyTorch, in float64.

With h = s^2 / D and g = b^2 c^2 / D, s = sin(pi t / 2), c = sin(pi (1 - t) / 2),
D = s^2 + b^2 c^2: gamma = k g + d and 1 - gamma = k h + d with d = sigmoid(-20), k = 1 - 2 d, which
puts logsnr at +-20 at the ends.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

_LOGSNR_MAX = 20.0
_END = 1 / (1 + math.exp(_LOGSNR_MAX))
_SLOPE = 1 - 2 * _END


class Cosine(NamedTuple):
    """What the schedule is at times t, each float64 of t's shape."""

    gamma: Tensor
    one_minus_gamma: Tensor
    slope: Tensor  # dlogsnr / dt

    @classmethod
    def at(cls, t: Tensor, input_scale: float) -> "Cosine":
        """At times t in [0, 1]."""
        t = t.double()
        scale = torch.tensor(input_scale, dtype=torch.float32).double() ** 2  # as ours rounds b
        s, c = torch.sin(math.pi * t / 2), torch.sin(math.pi * (1 - t) / 2)
        total = s**2 + scale * c**2
        gamma = _SLOPE * scale * c**2 / total + _END
        one_minus_gamma = _SLOPE * s**2 / total + _END
        slope = -_SLOPE * scale * math.pi * s * c / (total**2 * gamma * one_minus_gamma)
        return cls(gamma, one_minus_gamma, slope)

    @property
    def alpha(self) -> Tensor:
        return self.gamma.sqrt().float()

    @property
    def sigma(self) -> Tensor:
        return self.one_minus_gamma.sqrt().float()

    @property
    def logsnr(self) -> Tensor:
        return self.gamma.log() - self.one_minus_gamma.log()

    def weight(self, name: str, bias: float, decoupled: bool) -> Tensor:
        """w(t), 'uniform' or 'sigmoid', float32.

        Raises:
            ValueError: another name.
        """
        if name not in ("uniform", "sigmoid"):
            raise ValueError(f"the twin has no weight {name!r}; use 'uniform' or 'sigmoid'")
        w = torch.ones_like(self.gamma) if name == "uniform" else (self.logsnr - bias).sigmoid()
        return (w * -self.slope if decoupled else w).float()
