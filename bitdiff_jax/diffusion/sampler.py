"""`Sampler`: all settings of sampling, as one value.

Python arguments, configs, the command line, inference and evaluation all use this value.
"""

import dataclasses
import math
import numbers
import operator
from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import numpy as np

from bitdiff_jax import extensions
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M, MultistepMethod
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm, StepMethod
from bitdiff_jax.diffusion.time_grids import TimeGrid
from bitdiff_jax.errors import InputError

Final = Literal["x0", "step"]
Decoder = Literal["code", "dichotomy"]

METHODS = ("ddpm", "ddim", "dpmpp_2m")

_DDPM = Ddpm()


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How label maps are drawn; hashable, and equal by value.

    A pytree whose one leaf is `guidance_weight`: a `jax.jit` that is handed a sampler compiles once
    for all weights, and once more for None.

    Attributes:
        num_steps: number N >= 1 of evaluations of the network.
        guidance_weight: weight w of `(1 + w) cond - w null` in x0: 0 is the plain conditional
            model, 1 the paper's setting, -1 unconditional. None gives the same as 0 without
            computing the unconditional half. An array [B] gives each image its own weight; such a
            sampler is not hashable.
        method: how a step is taken: `Ddpm`, `Ddim`, `Dpmpp2M`, or another `StepMethod` or
            `MultistepMethod`.
        clip: range (low, high) to which x0 is clipped at every step. True takes the range of the
            encoding, or (-1, 1) without one, and False does not clip.
        final: what the last step returns: x0 as predicted ('x0') or the result of an ordinary step
            down to t = 0 ('step'). The latter is for DDIM or variance 'small': DDPM's 'large' ends
            with noise of sigma(1 / N).
        decoder: how codes follow from the drawn x0: 'code' takes each pixel's nearest code;
            'dichotomy' splits the drawn colours into regions on the host (`encoding.dichotomy`), as
            released for encoding 'rgb'.
        temperature: factor of the standard deviation of all noise that sampling draws: the initial
            noise and that of the steps; finite and >= 0. 1 samples the model's distribution, less
            draws more probable and less varied maps, and 0 draws one map, whatever the keys. A
            constant of the compiled program.
        time_grid: times at which the network is asked: 'uniform', 1, 1 - 1/N, ..., 1/N; or
            'logsnr', uniform in logsnr (`time_grids.times`), with which fewer steps draw the
            model's distribution.

    Raises:
        InputError: a value is outside its domain.
    """

    num_steps: int = 8
    guidance_weight: Any = 1.0
    method: StepMethod | MultistepMethod = _DDPM
    clip: bool | tuple[float, float] = True
    final: Final = "x0"
    decoder: Decoder = "code"
    temperature: float = 1.0
    time_grid: TimeGrid = "uniform"

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_steps", _positive("num_steps", self.num_steps))
        object.__setattr__(self, "clip", _clip(self.clip))
        if isinstance(self.guidance_weight, np.generic):
            object.__setattr__(self, "guidance_weight", self.guidance_weight.item())
        _check_weight(self.guidance_weight)
        _check_method(self.method)
        object.__setattr__(self, "temperature", _temperature(self.temperature))
        for name, of in (("final", Final), ("decoder", Decoder), ("time_grid", TimeGrid)):
            value, known = getattr(self, name), get_args(of)
            if value not in known:
                raise InputError(f"{name} is {value!r}; use {' or '.join(map(repr, known))}")

    @property
    def guided(self) -> bool:
        """Whether the unconditional half is computed: false where the weight is None or 0."""
        weight = self.guidance_weight
        return weight is not None and not (isinstance(weight, int | float) and weight == 0)

    @property
    def method_name(self) -> str:
        """The name of the step method in `METHODS`, or of its class if it is another one."""
        names = dict(zip((Ddpm, Ddim, Dpmpp2M), METHODS, strict=True))
        return names.get(type(self.method), type(self.method).__name__)

    @property
    def draws(self) -> int:
        """How many times noise is drawn after the initial noise."""
        if not self.method.draws_noise:
            return 0
        return self.num_steps if self.final == "step" else self.num_steps - 1

    def without_idle_half(self) -> "Sampler":
        """The same sampler with None for a `guidance_weight` of 0, which takes half of the time."""
        return self if self.guided else dataclasses.replace(self, guidance_weight=None)

    def override(self, **fields: Any) -> "Sampler":
        """A copy with new values in the fields that are given and not None."""
        return dataclasses.replace(self, **{k: v for k, v in fields.items() if v is not None})


jax.tree_util.register_dataclass(
    Sampler,
    data_fields=["guidance_weight"],
    meta_fields=["num_steps", "method", "clip", "final", "decoder", "temperature", "time_grid"],
)

# The keys of `config.sampling` that say how maps are drawn.
SETTINGS = (
    "num_steps", "guidance_weight", "method", "eta", "clip", "variance", "eps_after_clip", "final",
    "decoder", "temperature", "time_grid",
)  # fmt: skip


def from_settings(settings: Mapping[str, Any], key: str = "config.sampling") -> Sampler:
    """The sampler that `config.sampling` describes.

    Args:
        settings: values of the keys `SETTINGS`. Missing ones have the defaults of `Sampler` and of
            the step methods, and other keys are ignored. `method` is 'ddpm' (with `variance`),
            'ddim' (with `eta` and `eps_after_clip`), 'dpmpp_2m', or `package.module:name` of a step
            method: a class, which is called without arguments, or a value.
        key: name of the part of the config that holds the settings, for messages.

    Raises:
        InputError: a value is outside its domain.
    """
    given = {name: settings[name] for name in SETTINGS if name in settings}
    name = given.pop("method", "ddpm")
    try:
        # All are made, so that a wrong value is reported whichever of them is chosen.
        ddpm = Ddpm(**_taken(given, "variance"))
        ddim = Ddim(**_taken(given, "eta", "eps_after_clip"))
        known: tuple[StepMethod | MultistepMethod, ...] = (ddpm, ddim, Dpmpp2M())
        if isinstance(name, str) and extensions.is_reference(name):
            method = _own_method(name, f"{key}.method")
        elif name in METHODS:
            method = known[METHODS.index(name)]
        else:
            raise InputError(
                f"method is {name!r}; use {', '.join(METHODS)} or package.module:name of a step "
                "method"
            )
        if isinstance(given.get("clip"), list):  # as JSON has it
            given["clip"] = tuple(given["clip"])
        return Sampler(method=method, **given)
    except InputError as error:
        told = str(error)
        raise InputError(told if told.startswith(key) else f"{key}.{told}") from None


def _taken(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: given.pop(name) for name in names if name in given}


def _own_method(reference: str, key: str) -> StepMethod | MultistepMethod:
    found: Any = extensions.resolve(reference, key)
    if isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise InputError(
                f"{key}={reference!r} cannot be made without arguments ({error}); give its fields "
                "defaults, or name a value instead of the class"
            ) from None
    try:
        _check_method(found)
    except InputError as error:
        raise InputError(f"{key}={reference!r}: {error}") from None
    method: StepMethod | MultistepMethod = found
    return method


def _check_method(method: Any) -> None:
    if isinstance(method, type):
        raise InputError(
            f"method is the class {method.__name__}; give a value, {method.__name__}()"
        )
    if not isinstance(method, StepMethod):
        raise InputError(
            f"method is {method!r}; give a step method such as Ddpm() or Ddim(): a value with "
            "`draws_noise` and `step`"
        )
    try:
        hash(method)
    except TypeError:
        raise InputError(
            f"method is {method!r}, which is not hashable; make it a frozen dataclass of numbers "
            "and names"
        ) from None


def _check_weight(weight: Any) -> None:
    if weight is None or not isinstance(weight, int | float | str | bool):
        return  # an array, or what a transformation of JAX puts into its place
    if isinstance(weight, str | bool) or not math.isfinite(weight):
        raise InputError(
            f"guidance_weight is {weight!r}; give a finite number, 0 for the plain conditional "
            "model"
        )


def _clip(clip: Any) -> bool | tuple[float, float]:
    if isinstance(clip, bool):
        return clip
    try:
        low, high = (float(end) for end in clip)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high:
        raise InputError(f"clip is {clip!r}; use True, False, or (low, high) with low < high")
    return low, high


def _temperature(temperature: Any) -> float:
    real = isinstance(temperature, numbers.Real) and not isinstance(temperature, bool)
    if not real or not 0 <= temperature < math.inf:
        raise InputError(
            f"temperature is {temperature!r}; give a finite number of 0 or more, 1 for the model's "
            "distribution"
        )
    return float(temperature)


def _positive(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; use a whole number of 1 or more")
    return number
