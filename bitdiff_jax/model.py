"""Config -> Model: the network, schedule, encoding and palette as pure functions of parameters.

Training, inference, evaluation and export all start here.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from bitdiff_jax.diffusion import losses, parameterization, sampling, schedules, times, weighting
from bitdiff_jax.encoding import fill, palette
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.unet import UNet

Params = Any
IMAGE_CHANNELS = 3

_SCHEDULE = schedules.cosine()
_ENCODING = BitEncoding(6)


@dataclasses.dataclass(frozen=True)
class Palette:
    """How regions get their codes; see `encoding.palette.assign`."""

    layout: str = "similar"
    order: palette.Order = "area"
    frame: palette.Frame = "valid"
    excess: palette.Excess = "ignore"
    max_regions: int = 256


@dataclasses.dataclass(frozen=True)
class Objective:
    """What training minimises.

    Attributes:
        weight: 'sigmoid' (paper) or 'uniform' in x0.
        bias: of the sigmoid weight.
        decoupled: multiply the weight by -dlogsnr/dt.
        image_keep: probability with which an example keeps its image; the others see the empty
            one, which is what guidance needs.
        padding: 'exclude' keeps padding out of loss and palette, with x0 = 0 there in training
            and in sampling; 'as_released' trains on it like on the picture and sets x0 = -1 there
            in sampling.
        ignored: 'nearest' fills pixels without a label with the nearest region's code, so that
            x_t does not tell where they are; 'as_released' leaves x0 = 0 there. Either way they
            are out of the loss.
    """

    weight: str = "sigmoid"
    bias: float = -4.0
    decoupled: bool = True
    image_keep: float = 0.95
    padding: str = "exclude"
    ignored: str = "nearest"


class Target(NamedTuple):
    """What a batch of label maps becomes."""

    x0: jax.Array  # float32 [B, S, S, C]
    loss_mask: jax.Array  # bool [B, S, S]
    codes: jax.Array  # int32 [B, S, S], -1 where there is none
    excess_pixels: jax.Array  # int32 [B]
    dropped_pixels: jax.Array  # int32 [B]


class Sample(NamedTuple):
    """What `Model.sample` returns."""

    codes: jax.Array  # int32 [B, S, S], -1 on padding
    certainty: jax.Array  # float32 [B, S, S], probability of the drawn code within this sample


@dataclasses.dataclass(frozen=True)
class Model:
    """The model as a value; every method is a pure function of its arguments.

    Attributes:
        net: the denoising network.
        image_size: S, side of the square that the network sees.
        schedule: noise schedule.
        encoding: between codes and what diffuses.
        palette: how regions get their codes.
        objective: the loss.
        prediction: what the network's output stands for.
        time_input: 't' or 'logsnr': the scalar that the network is told.
        image_mean: per channel, in [0, 1]; subtracted from the image.
        image_std: per channel; divides it.
    """

    net: UNet
    image_size: int
    schedule: schedules.Schedule = _SCHEDULE
    encoding: BitEncoding = _ENCODING
    palette: Palette = Palette()
    objective: Objective = Objective()
    prediction: parameterization.Prediction = "x"
    time_input: str = "logsnr"
    image_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    image_std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def table(self) -> np.ndarray:
        """int32 [L, L], the palette's cells."""
        return palette.table(self.palette.layout, self.encoding.num_codes)

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters, a plain dict of float32 arrays."""
        channels = self.encoding.num_channels + IMAGE_CHANNELS
        x = jnp.zeros((1, self.image_size, self.image_size, channels))
        return self.net.init(key, x, jnp.zeros((1,)))["params"]

    def encode_image(self, params: Params, image: jax.Array, valid_mask: jax.Array) -> jax.Array:
        """The condition; computed once per image and shared by all steps and samples.

        Args:
            params: parameters (unused by this network, which takes the picture itself).
            image: uint8 [B, S, S, 3].
            valid_mask: bool [B, S, S].

        Returns:
            float32 [B, S, S, 3], normalised, 0 on padding. All zeros is the empty image.
        """
        del params
        mean, std = jnp.asarray(self.image_mean), jnp.asarray(self.image_std)
        normalised = (image.astype(jnp.float32) / 255 - mean) / std
        return jnp.where(valid_mask[..., None], normalised, 0)

    def apply(self, params: Params, x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        """Raw network output for x_t [B, S, S, C] at times t [B] given `cond`."""
        # Bounded to about [-5, 5]: the sinusoid's periods are made for times of that order.
        time = t if self.time_input == "t" else self.schedule.logsnr(t) / 4
        output = self.net.apply({"params": params}, jnp.concatenate([x_t, cond], axis=-1), time)
        assert isinstance(output, jax.Array)
        return output

    def target(self, labels: jax.Array, size: jax.Array) -> Target:
        """Label maps -> x0 and where it counts.

        Args:
            labels: int32 [B, S, S], ids in [0, max_regions), negative = ignore.
            size: int32 [B, 2], (h, w) of the valid rectangle.
        """
        valid = valid_mask(size, labels.shape[1:])
        if self.objective.padding == "as_released":
            valid = jnp.ones_like(valid)
        assign = functools.partial(
            palette.assign,
            table=self.table,
            max_regions=self.palette.max_regions,
            order=self.palette.order,
            frame=self.palette.frame,
            excess=self.palette.excess,
        )
        assigned = jax.vmap(lambda m, v: assign(m, mask=v))(labels, valid)
        codes = assigned.codes
        shown = jax.vmap(fill.nearest_label)(codes, valid) if self._fills else codes
        return Target(
            x0=self.encoding.encode(shown),
            loss_mask=codes >= 0,
            codes=codes,
            excess_pixels=assigned.excess_pixels,
            dropped_pixels=assigned.dropped_pixels,
        )

    @property
    def _fills(self) -> bool:
        return self.objective.ignored == "nearest"

    def loss(
        self, params: Params, batch: dict[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The training loss of one (global) batch.

        Args:
            params: parameters.
            batch: image uint8 [B, S, S, 3], labels int32 [B, S, S], size int32 [B, 2].
            key: PRNG key of this step; times, noise and image dropout of the whole batch come
                from it, so that they do not depend on how the batch is sharded.

        Returns:
            The mean loss and a dict of scalars worth logging.
        """
        batch_size = batch["labels"].shape[0]
        key_time, key_noise, key_drop = jax.random.split(key, 3)
        target = self.target(batch["labels"], batch["size"])
        valid = valid_mask(batch["size"], batch["labels"].shape[1:])

        t = times.stratified(key_time, batch_size)
        eps = jax.random.normal(key_noise, target.x0.shape)
        alpha = parameterization.expand(self.schedule.alpha(t), eps)
        sigma = parameterization.expand(self.schedule.sigma(t), eps)
        x_t = parameterization.diffuse(target.x0, eps, alpha, sigma)

        cond = self.encode_image(params, batch["image"], valid)
        keep = jax.random.bernoulli(key_drop, self.objective.image_keep, (batch_size,))
        cond = jnp.where(parameterization.expand(keep, cond) > 0, cond, 0)

        output = self.apply(params, x_t, t, cond)
        x0 = parameterization.to_x0(output, x_t, alpha, sigma, self.prediction)
        error = losses.masked_mse(x0, target.x0, target.loss_mask)
        loss = jnp.mean(self._weight(t) * error)
        pixels = jnp.maximum(jnp.sum(valid), 1)
        return loss, {
            "mse": jnp.mean(error) / self.encoding.num_channels,
            "excess_share": jnp.sum(target.excess_pixels) / pixels,
            "dropped_share": jnp.sum(target.dropped_pixels) / pixels,
        }

    def _weight(self, t: jax.Array) -> jax.Array:
        objective = self.objective
        if objective.weight == "sigmoid":
            return weighting.sigmoid(self.schedule, t, objective.bias, objective.decoupled)
        return weighting.uniform(self.schedule, t, objective.decoupled)

    def sample(
        self,
        params: Params,
        image: jax.Array,
        size: jax.Array,
        keys: jax.Array,
        *,
        num_steps: int = 8,
        guidance_weight: jax.Array | float | None = 1.0,
        method: sampling.Method = "ddpm",
        eta: jax.Array | float = 0.0,
        clip: bool = True,
        variance: sampling.Variance = "large",
        eps_after_clip: bool = True,
    ) -> Sample:
        """Draws one label map for each image.

        Args:
            params: parameters.
            image: uint8 [B, S, S, 3].
            size: int32 [B, 2].
            keys: [B] PRNG keys; all of an image's randomness comes from its own.
            num_steps: evaluations of the network.
            guidance_weight: see `diffusion.sampling.sample`; None leaves guidance out.
            method: 'ddpm' or 'ddim'.
            eta: of DDIM.
            clip: clip x0 at every step.
            variance: of DDPM.
            eps_after_clip: of DDIM.
        """
        batch_size, side = image.shape[0], self.image_size
        valid = valid_mask(size, image.shape[1:3])
        shape = (side, side, self.encoding.num_channels)
        key_pairs = jax.vmap(jax.random.split)(keys)
        x_init = jax.vmap(lambda key: jax.random.normal(key, shape))(key_pairs[:, 0])
        x0 = sampling.sample(
            functools.partial(self.apply, params),
            x_init,
            self.encode_image(params, image, valid),
            schedule=self.schedule,
            num_steps=num_steps,
            prediction=self.prediction,
            method=method,
            eta=eta,
            guidance_weight=guidance_weight,
            keys=key_pairs[:, 1],
            clip=clip,
            valid_mask=valid,
            pad_value=-1.0 if self.objective.padding == "as_released" else self.encoding.pad_value,
            variance=variance,
            eps_after_clip=eps_after_clip,
        )
        assert isinstance(x0, jax.Array) and x0.shape[0] == batch_size
        codes = jnp.where(valid, self.encoding.decode(x0), -1)
        return Sample(codes, self.encoding.certainty(jnp.clip(x0, -1, 1)))


def valid_mask(size: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """[B, 2] sizes (h, w) -> bool [B, H, W], true on the top-left h x w rectangle.

    Args:
        size: int [B, 2].
        shape: (H, W).
    """
    height, width = shape
    size = jnp.asarray(size)[:, :, None, None]
    return (jnp.arange(height)[:, None] < size[:, 0]) & (jnp.arange(width) < size[:, 1])


def from_config(config: ml_collections.ConfigDict) -> Model:
    """Builds the model that `config.model` describes.

    Args:
        config: a training config; only its `model` part is read.

    Raises:
        InputError: a setting outside its domain.
    """
    c = config.model
    for name, value, known in (
        ("model.time_input", c.time_input, ("t", "logsnr")),
        ("model.prediction", c.prediction, ("x", "eps", "v")),
        ("model.schedule.name", c.schedule.name, ("cosine",)),
        ("model.objective.weight", c.objective.weight, ("sigmoid", "uniform")),
        ("model.objective.padding", c.objective.padding, ("exclude", "as_released")),
        ("model.objective.ignored", c.objective.ignored, ("nearest", "as_released")),
        ("model.palette.order", c.palette.order, ("id", "area")),
        ("model.palette.frame", c.palette.frame, ("square", "valid")),
        ("model.palette.excess", c.palette.excess, ("merge", "ignore")),
    ):
        if value not in known:
            raise InputError(f"config.{name} is {value!r}; it must be one of {', '.join(known)}")
    encoding = BitEncoding(c.num_bits)
    try:
        palette.table(c.palette.layout, encoding.num_codes)
        schedule = schedules.cosine(
            c.schedule.input_scale, c.schedule.logsnr_min, c.schedule.logsnr_max
        )
    except ValueError as error:
        raise InputError(f"config.model: {error}") from error
    net = dict(c.net)
    net["dtype"] = jnp.dtype(net["dtype"])
    for name in ("channel_multipliers", "attention_levels"):
        net[name] = tuple(net[name])
    return Model(
        net=UNet(
            out_channels=encoding.num_channels,
            final_activation=encoding.activation if c.prediction == "x" else "none",
            **net,
        ),
        image_size=c.image_size,
        schedule=schedule,
        encoding=encoding,
        palette=Palette(**c.palette),
        objective=Objective(**c.objective),
        prediction=c.prediction,
        time_input=c.time_input,
    )
