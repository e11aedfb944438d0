"""Config -> Model: the network, schedule, encoding and palette as pure functions of parameters.

Training, inference, evaluation and export all start here.
"""

import dataclasses
import functools
import typing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from bitdiff_jax import extensions, feature_grids, own_parts
from bitdiff_jax.diffusion import (
    losses,
    parameterization,
    prng_keys,
    sampling,
    schedules,
    times,
    weighting,
)
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.encoding import dichotomy
from bitdiff_jax.encoding import interface as encodings
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.encoding.interface import Encoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import network
from bitdiff_jax.nets.condition import FeatureStem
from bitdiff_jax.nets.encoders import registry as encoders
from bitdiff_jax.nets.encoders.interface import Encoder
from bitdiff_jax.nets.network import Network
from bitdiff_jax.nets.patches import space_to_depth
from bitdiff_jax.target import Palette, Target, make_target, valid_mask

Params = Any
Condition = Any  # a tree of float32 arrays [B, S, S, channels]
IMAGE_CHANNELS = 3

_SCHEDULE = schedules.cosine()
_ENCODING = BitEncoding(6)
_PALETTE = Palette()
_SAMPLER = Sampler()


@dataclasses.dataclass(frozen=True)
class Objective:
    """What training minimises.

    Attributes:
        weight: weight of the error at time t: a key of `weighting.WEIGHTS` or your own function
            `(schedule, t) -> weights`; 'sigmoid' is the paper's.
        bias: bias of the sigmoid weight: the logsnr at which it has fallen to a half. The other
            weights have none.
        decoupled: whether the weight is multiplied by -dlogsnr/dt.
        loss: error of the prediction: a key of `losses.LOSSES`, or your own, see `losses.make`;
            'mse' is the paper's.
        times: how training times are drawn: a key of `times.TIMES`.
        image_keep: probability, in [0, 1], with which an example keeps its image; the others see
            the empty one, which is what guidance needs.
        self_condition: probability, in [0, 1], with which an example sees the network's own first
            guess of x0 (arXiv 2208.04202); above 0 the network has input channels for it.
        padding: what happens on padding. 'exclude' keeps it out of loss and palette, with x0 = 0
            there in training and in sampling; 'as_released' trains on it like on the image and sets
            x0 = -1 there in sampling.
        ignored: what x0 is where pixels have no label. 'nearest' fills them with the nearest
            region's code, so that x_t does not tell where they are; 'as_released' leaves x0 = 0
            there. Either way they are out of the loss.
    """

    weight: str | weighting.Weight = "sigmoid"
    bias: float = -4.0
    decoupled: bool = True
    loss: str | losses.Error | losses.Loss = "mse"
    times: str = "stratified"
    image_keep: float = 0.95
    self_condition: float = 0.0
    padding: str = "exclude"
    ignored: str = "nearest"


class Draws(NamedTuple):
    """What a training step draws, row by row."""

    t: jax.Array  # float32 [B], times
    eps: jax.Array  # float32 [B, S, S, C], noise
    keep: jax.Array  # bool [B], whether the row sees its image
    guess: jax.Array | None  # bool [B], whether it sees a first guess of x0; None: not an input
    codes: jax.Array  # [B] PRNG keys of the codes that palette layout 'none' draws


class RowLosses(NamedTuple):
    """Losses of each row of a batch, float32 [B]; or their sums over the rows, float32 []."""

    loss: jax.Array  # what is minimised
    error: jax.Array  # the loss without its weight
    excess_pixels: jax.Array  # number of pixels of regions beyond the number of codes
    dropped_pixels: jax.Array  # number of pixels of regions beyond max_regions
    valid_pixels: jax.Array


class Sample(NamedTuple):
    """What `Model.sample` returns."""

    codes: jax.Array  # int32 [B, S, S], -1 on padding
    certainty: jax.Array  # float32 [B, S, S], probability of the drawn code within this sample
    x0: jax.Array  # float32 [B, S, S, C], from which the codes were read


@dataclasses.dataclass(frozen=True)
class ImageFeatures:
    """How a pretrained encoder's features reach the network.

    Attributes:
        encoder: the image encoder: any object that satisfies `nets.encoders.interface.Encoder`.
        grid: number G of cells along the square that the network sees; it divides S.
        channels: number of channels, for each pixel, that a cell's features are reduced to.
        scale: factor of the features that brings them to the order of 1.
        tuned: whether the encoder is trained too. A frozen one is no part of what `Model.init`
            returns; whoever encodes images puts its parameters beside the others, as 'encoder'.
    """

    encoder: Encoder
    grid: int = 64
    channels: int = 32
    scale: float = 1.0
    tuned: bool = False


@dataclasses.dataclass(frozen=True)
class Model:
    """The model as a value; every method is a pure function of its arguments.

    Attributes:
        net: the denoising network: any object that satisfies `nets.network.Network`.
        image_size: side S, in pixels, of the square of the label map that the network draws.
        schedule: the noise schedule.
        encoding: the way between codes and what diffuses, such as bits.
        palette: how regions get their codes.
        objective: what training minimises.
        prediction: what the network's output stands for, see `diffusion.parameterization`.
        time_input: the scalar that the network is told: 't' or 'logsnr'.
        image_mean: mean of each channel, in [0, 1]; it is subtracted from the image.
        image_std: standard deviation of each channel, in [0, 1]; it divides the image.
        image_scale: the network sees the image at this many times S: M = image_scale * S pixels
            along its square, those of a pixel of the label map side by side as channels.
        features: how features of a pretrained encoder reach the network; None for a network that
            sees the image alone.
    """

    net: Network
    image_size: int
    schedule: schedules.Schedule = _SCHEDULE
    encoding: Encoding = _ENCODING
    palette: Palette = _PALETTE
    objective: Objective = Objective()
    prediction: parameterization.Prediction = "x"
    time_input: str = "logsnr"
    image_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    image_std: tuple[float, ...] = (0.229, 0.224, 0.225)
    image_scale: int = 1
    features: ImageFeatures | None = None

    @property
    def self_conditioned(self) -> bool:
        """Whether the network takes an earlier guess of x0 as well."""
        return self.objective.self_condition > 0

    @property
    def cond_channels(self) -> int:
        """Number of channels of the condition, for each pixel of the label map."""
        own = IMAGE_CHANNELS * self.image_scale**2
        return own if self.features is None else own + self.features.channels

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters, a nested dict of float32 arrays: the network's.

        With an encoder they are {'net': the network's, 'features': the feature stem's}, and
        'encoder' besides if it is tuned.

        Raises:
            InputError: the network has state beside its parameters.
        """
        channels = self.encoding.num_channels * (1 + self.self_conditioned) + self.cond_channels
        x = jnp.zeros((1, self.image_size, self.image_size, channels), jnp.float32)
        key = prng_keys.typed(key)
        variables = self.net.init(key, x, jnp.zeros((1,), jnp.float32))
        if set(variables) != {"params"}:
            raise InputError(
                f"net: {type(self.net).__name__}.init returned {', '.join(map(str, variables))}; a "
                "network has the collection 'params' alone, and no state"
            )
        if self.features is None:
            return variables["params"]
        grid, encoder = self.features.grid, self.features.encoder
        cells = jnp.zeros((1, grid, grid, encoder.channels), jnp.float32)
        stem = self._stem(self.features).init(jax.random.fold_in(key, 1), cells)["params"]
        params = {"net": variables["params"], "features": stem}
        if self.features.tuned:
            params["encoder"] = encoder.init(jax.random.fold_in(key, 2))
        return params

    def encode(
        self, params: Params, encoder_image: jax.Array, encoder_size: jax.Array, size: jax.Array
    ) -> jax.Array:
        """The encoder's features of images, on the grid that `encode_image` takes.

        Args:
            params: parameters with the encoder's as 'encoder'.
            encoder_image: images, uint8 [B, N, N, 3], N the encoder's `image_size`.
            encoder_size: int32 [B, 2], (h, w) of the valid rectangle of each in these pixels.
            size: int32 [B, 2], (h, w) of the rectangle of the label map that the image fills, which
                may have another ratio of sides.

        Returns:
            float32 [B, G, G, C], 0 in cells that begin beyond the rectangle.

        Raises:
            InputError: the model has no encoder, or the parameters do not hold one.
        """
        if self.features is None:
            raise InputError("the model has no encoder; `encode_image` takes the image alone")
        if "encoder" not in params:
            raise InputError(
                "params has no 'encoder': put the encoder's parameters there, see "
                "`bitdiff_jax.inference.load`, or give the features"
            )
        encoder, grid = self.features.encoder, self.features.grid
        cells = encoder.apply(params["encoder"], encoder_image, encoder_size)
        extents = encoder_size.astype(jnp.float32) / encoder.stride

        def on_grid(cells: jax.Array, extent: jax.Array, size: jax.Array) -> jax.Array:
            return feature_grids.resample(
                jnp, cells, (extent[0], extent[1]), feature_grids.WHOLE, (size[0], size[1]),
                self.image_size, grid,
            )  # fmt: skip

        return jax.vmap(on_grid)(cells, extents, size)

    def encode_image(
        self,
        params: Params,
        image: jax.Array,
        valid_mask: jax.Array,
        features: jax.Array | feature_grids.StoredCells | None = None,
    ) -> Condition:
        """The condition; computed once per image and shared by all steps and samples.

        Args:
            params: parameters; those of the feature stem are used, if there is one.
            image: images, uint8 [B, M, M, 3], where M = image_scale * S.
            valid_mask: bool [B, S, S], false on padding.
            features: what `encode` returned, float [B, G, G, C], or stored cells; only for a model
                with an encoder, which needs them.

        Returns:
            A tree of arrays of S x S pixels, whose zeros are the empty condition: 'image', the
            normalised image, float32 [B, S, S, 3 * image_scale**2], and 'features', float32
            [B, S, S, channels], both 0 on padding; the first of them alone, not in a tree, for a
            model without an encoder.

        Raises:
            InputError: features are missing, or given to a model without an encoder.
        """
        if (features is None) != (self.features is None):
            raise InputError(
                "features are given to a model without an encoder; leave them out"
                if self.features is None
                else "features: the model has an encoder; give what `Model.encode` returns"
            )
        mean, std = (jnp.asarray(x, jnp.float32) for x in (self.image_mean, self.image_std))
        normalised = (image.astype(jnp.float32) / 255 - mean) / std
        normalised = space_to_depth(normalised, self.image_scale)
        masked = jnp.where(valid_mask[..., None], normalised, 0)
        if self.features is None:
            return masked
        stem = self._stem(self.features).apply({"params": params["features"]}, features)
        assert isinstance(stem, jax.Array)  # and no state
        return {"image": masked, "features": jnp.where(valid_mask[..., None], stem, 0)}

    def _stem(self, features: ImageFeatures) -> FeatureStem:
        return FeatureStem(features.channels, self.image_size, features.scale)

    def apply(
        self,
        params: Params,
        x_t: jax.Array,
        t: jax.Array,
        cond: Condition,
        previous: jax.Array | None = None,
    ) -> jax.Array:
        """Raw network output for x_t [B, S, S, C] at times t [B] given `cond`.

        `previous` is an earlier guess of x0, [B, S, S, C], with zeros where there is none; only a
        self-conditioned model takes it.

        Raises:
            InputError: the network returned another shape than `nets.network.Network` says.
        """
        inputs = [x_t, *jax.tree.leaves(cond)] + ([] if previous is None else [previous])
        # Bounded to about [-5, 5], since the sinusoid's periods are made for times of that order.
        time = t if self.time_input == "t" else self.schedule.logsnr(t) / 4
        net_params = params if self.features is None else params["net"]
        output = self.net.apply({"params": net_params}, jnp.concatenate(inputs, axis=-1), time)
        channels = parameterization.output_channels(self.prediction, self.encoding.num_channels)
        shape, wanted = getattr(output, "shape", None), (*x_t.shape[:-1], channels)
        if shape != wanted:
            raise InputError(
                f"net: {type(self.net).__name__} returned {shape or type(output).__name__}; for "
                f"x_t {x_t.shape} it has to return {wanted}"
            )
        return jnp.asarray(output, jnp.promote_types(output.dtype, jnp.float32))

    def target(self, labels: jax.Array, size: jax.Array, key: jax.Array | None = None) -> Target:
        """Turns label maps into x0 and the mask of pixels that count.

        Args:
            labels: label maps, int32 [B, S, S], ids in [0, max_regions), negative = ignore.
            size: int32 [B, 2], (h, w) of the valid rectangle.
            key: PRNG key of the codes, or keys [B], one per row. Only palette layout 'none', which
                draws codes, needs it.
        """
        key = None if key is None else prng_keys.typed(key)
        valid = valid_mask(size, labels.shape[1:])
        if self.objective.padding == "as_released":
            valid = jnp.ones_like(valid)
        fill_ignored = self.objective.ignored == "nearest"
        return make_target(
            labels, valid, self.palette, self.encoding, fill_ignored=fill_ignored, key=key
        )

    def draw(self, key: jax.Array, shape: tuple[int, ...]) -> Draws:
        """The randomness of one training step, for the whole (global) batch.

        Drawn apart from the loss, so that it depends neither on how the batch is sharded nor on the
        parts that gradients are accumulated over.

        Args:
            key: PRNG key of the step.
            shape: shape (B, S, S) of the global batch's labels.
        """
        key = prng_keys.typed(key)
        key_time, key_noise, key_drop = jax.random.split(key, 3)
        objective, batch_size = self.objective, shape[0]
        guess = None
        if self.self_conditioned:
            share = jnp.float32(objective.self_condition)
            guess = jax.random.bernoulli(jax.random.fold_in(key, 2), share, (batch_size,))
        return Draws(
            t=times.TIMES[objective.times](key_time, batch_size),
            eps=jax.random.normal(key_noise, (*shape, self.encoding.num_channels), jnp.float32),
            keep=jax.random.bernoulli(key_drop, jnp.float32(objective.image_keep), (batch_size,)),
            guess=guess,
            codes=jax.random.split(jax.random.fold_in(key, 1), batch_size),
        )

    def row_losses(self, params: Params, batch: dict[str, jax.Array], draws: Draws) -> RowLosses:
        """The loss of each row and what is logged beside it; no row depends on another.

        Args:
            params: the network's parameters.
            batch: a batch as in `loss`, or any of its rows.
            draws: the rows of `draw` that belong to the batch's rows.
        """
        objective, eps, t = self.objective, draws.eps, draws.t
        target = self.target(batch["labels"], batch["size"], draws.codes)
        valid = valid_mask(batch["size"], batch["labels"].shape[1:])
        alpha = parameterization.expand(self.schedule.alpha(t), eps)
        sigma = parameterization.expand(self.schedule.sigma(t), eps)
        x_t = parameterization.diffuse(target.x0, eps, alpha, sigma)

        cond = self.encode_image(params, batch["image"], valid, self._features_of(params, batch))
        # Image and features are dropped as one.
        cond = jax.tree.map(
            lambda x: jnp.where(parameterization.expand(draws.keep, x) > 0, x, 0), cond
        )

        def to_x0(output: jax.Array) -> jax.Array:
            return parameterization.to_x0(output, x_t, alpha, sigma, self.prediction)

        previous = None
        if draws.guess is not None:
            output = self.apply(params, x_t, t, cond, jnp.zeros_like(x_t))
            guess = jax.lax.stop_gradient(to_x0(output))
            previous = jnp.where(parameterization.expand(draws.guess, guess) > 0, guess, 0)
        output = self.apply(params, x_t, t, cond, previous)
        loss = losses.make(objective.loss, self.prediction)
        pred = output if loss.of_output else to_x0(output)
        error = own_parts.of_rows(loss.error(pred, target.x0, target.loss_mask), t, "loss")
        weight = weighting.make(objective.weight, objective.bias, objective.decoupled)
        return RowLosses(
            loss=own_parts.of_rows(weight(self.schedule, t), t, "weight") * error,
            error=error,
            excess_pixels=target.excess_pixels.astype(jnp.float32),
            dropped_pixels=target.dropped_pixels.astype(jnp.float32),
            valid_pixels=jnp.sum(valid, (1, 2), dtype=jnp.float32),
        )

    def _features_of(
        self, params: Params, batch: dict[str, jax.Array]
    ) -> jax.Array | feature_grids.StoredCells | None:
        """Features that came with the batch, or those of its images."""
        if self.features is None:
            return None
        if "features" in batch:
            return batch["features"]
        if "cell_values" in batch:
            fields = feature_grids.StoredCells._fields
            return feature_grids.StoredCells(*(batch[f"cell_{name}"] for name in fields))
        if not self.features.tuned:  # nothing flows back into a frozen encoder
            params = jax.lax.stop_gradient(params)
        return self.encode(params, batch["encoder_image"], batch["encoder_size"], batch["size"])

    def summary(self, totals: RowLosses, batch_size: int) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Sums over the rows of a batch -> the mean loss and a dict of scalars worth logging."""
        pixels = jnp.maximum(totals.valid_pixels, 1)
        name = losses.make(self.objective.loss, self.prediction).name
        return totals.loss / batch_size, {
            name: totals.error / (batch_size * self.encoding.num_channels),
            "excess_share": totals.excess_pixels / pixels,
            "dropped_share": totals.dropped_pixels / pixels,
        }

    def loss(
        self, params: Params, batch: dict[str, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The training loss of one (global) batch.

        Args:
            params: the network's parameters.
            batch: 'image' uint8 [B, M, M, 3], where M = image_scale * S, 'labels' int32 [B, S, S]
                and 'size' int32 [B, 2], the valid rectangle of the labels. For a model with an
                encoder also 'features' float [B, G, G, C]; or the fields of
                `feature_grids.StoredCells` as 'cell_values' and so on; or 'encoder_image' uint8
                [B, N, N, 3] and 'encoder_size' int32 [B, 2], as `encode` takes them.
            key: PRNG key of this step, see `draw`.

        Returns:
            The mean loss and a dict of scalars worth logging.
        """
        shape = batch["labels"].shape
        rows = self.row_losses(params, batch, self.draw(key, shape))
        return self.summary(jax.tree.map(jnp.sum, rows), shape[0])

    def sample(
        self,
        params: Params,
        image: jax.Array,
        size: jax.Array,
        keys: jax.Array,
        sampler: Sampler = _SAMPLER,
        features: jax.Array | None = None,
    ) -> Sample:
        """Draws one label map for each image.

        It is compiled once for each model, set of shapes and sampler, whatever the sampler's
        guidance weight; it may be called inside a jit or outside.

        Args:
            params: the network's parameters.
            image: images, uint8 [B, M, M, 3], where M = image_scale * S.
            size: int32 [B, 2], (h, w) of the valid rectangle of the label map.
            keys: PRNG keys [B], one per image; all randomness of an image comes from its own key.
            sampler: how maps are drawn: steps, guidance, method and so on.
            features: see `encode_image`.
        """
        keys, chosen = prng_keys.typed(keys), sampler.without_idle_half()
        return _sample(params, image, size, keys, chosen, features, model=self)


@functools.partial(jax.jit, static_argnames="model")
def _sample(
    params: Params,
    image: jax.Array,
    size: jax.Array,
    keys: jax.Array,
    sampler: Sampler,
    features: jax.Array | None,
    *,
    model: Model,
) -> Sample:
    encoding, as_released = model.encoding, model.objective.padding == "as_released"
    # The images' own shape, which need not be S: a network of convolutions takes others as well.
    square = (image.shape[1] // model.image_scale, image.shape[2] // model.image_scale)
    valid = valid_mask(size, square)
    shape = (*square, encoding.num_channels)
    key_pairs = jax.vmap(jax.random.split)(keys)
    x0 = sampling.sample(
        functools.partial(model.apply, params),
        jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(key_pairs[:, 0]),
        model.encode_image(params, image, valid, features),
        dataclasses.replace(sampler, clip=encoding.clip_range) if sampler.clip is True else sampler,
        schedule=model.schedule,
        prediction=model.prediction,
        keys=key_pairs[:, 1],
        valid_mask=valid,
        pad_value=-1.0 if as_released else encoding.pad_value,
        self_condition=model.self_conditioned,
    )
    assert isinstance(x0, jax.Array)
    if sampler.decoder == "dichotomy":
        codes = jax.pure_callback(
            dichotomy.decode_batch, jax.ShapeDtypeStruct(valid.shape, jnp.int32), x0, size
        )
    else:
        codes = encoding.decode(x0)
    certainty = encoding.certainty(jnp.clip(x0, *encoding.clip_range))
    return Sample(jnp.where(valid, codes, -1), certainty, x0)


def from_config(config: ml_collections.ConfigDict) -> Model:
    """Builds the model that `config.model` describes.

    Args:
        config: a training config, of which only the `model` part is read.

    Raises:
        InputError: a setting is outside its domain.
    """
    c = config.model
    own = {
        name: extensions.resolve(value, f"config.model.{name}")
        for name, value in (
            ("encoding", c.encoding),
            ("objective.weight", c.objective.weight),
            ("objective.loss", c.objective.loss),
        )
        if extensions.is_reference(value)
    }
    for name, value, known in (
        ("model.time_input", c.time_input, ("t", "logsnr")),
        ("model.prediction", c.prediction, typing.get_args(parameterization.Prediction)),
        ("model.schedule.name", c.schedule.name, tuple(schedules.SCHEDULES)),
        ("model.encoding", c.encoding, encodings.NAMES),
        ("model.objective.weight", c.objective.weight, tuple(weighting.WEIGHTS)),
        ("model.objective.loss", c.objective.loss, tuple(losses.LOSSES)),
        ("model.objective.times", c.objective.times, tuple(times.TIMES)),
        ("model.objective.padding", c.objective.padding, ("exclude", "as_released")),
        ("model.objective.ignored", c.objective.ignored, ("nearest", "as_released")),
        ("model.palette.order", c.palette.order, ("id", "area")),
        ("model.palette.frame", c.palette.frame, ("square", "valid")),
        ("model.palette.excess", c.palette.excess, ("merge", "ignore")),
        ("model.palette.choice", c.palette.choice, ("greedy", "optimal")),
    ):
        if value not in known and name.removeprefix("model.") not in own:
            raise InputError(f"config.{name} is {value!r}; it must be one of {', '.join(known)}")
    if c.encoding != "bits" and "encoding" not in own:
        for name, value in (("prediction", c.prediction), ("objective.loss", c.objective.loss)):
            if value in ("p", "p_logits", "ce1", "ce2"):
                raise InputError(
                    f"config.model.{name}={value!r} reads x0 as probabilities of bits; "
                    f"encoding {c.encoding!r} has none: use 'bits', or another {name}"
                )
    for name in ("image_keep", "self_condition"):
        if not 0 <= c.objective[name] <= 1:
            raise InputError(f"config.model.objective.{name} is {c.objective[name]}; use 0 to 1")
    try:
        encoding = (
            encodings.check(
                own_parts.called(own["encoding"], f"encoding={c.encoding!r}", c.num_bits)
            )
            if "encoding" in own
            else encodings.make(c.encoding, c.num_bits)
        )
        chosen = Palette(**c.palette)
        chosen.check(encoding.num_codes)
        schedule = schedules.make(**c.schedule)
        weight = own.get("objective.weight", c.objective.weight)
        loss = own.get("objective.loss", c.objective.loss)
        out_channels = parameterization.output_channels(c.prediction, encoding.num_channels)
        own_parts.try_weight(weighting.make(weight), schedule)
        own_parts.try_loss(losses.make(loss, c.prediction), encoding.num_channels, out_channels)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"config.model: {error}") from error
    return Model(
        net=network.from_settings(
            c.net,
            out_channels=out_channels,
            final_activation={"x": encoding.activation, "p": "sigmoid"}.get(c.prediction, "none"),
        ),
        image_size=c.image_size,
        schedule=schedule,
        encoding=encoding,
        palette=chosen,
        objective=Objective(**{**c.objective, "weight": weight, "loss": loss}),
        prediction=c.prediction,
        time_input=c.time_input,
        image_scale=c.image_scale,
        features=image_features(config),
    )


def image_features(config: ml_collections.ConfigDict) -> ImageFeatures | None:
    """How features reach the network that `config.model` describes; None without an encoder.

    Raises:
        InputError: a setting of `config.model.encoder` is outside its domain.
    """
    c, e = config.model, config.model.encoder
    if e.name == "none":
        return None
    if e.grid < 1 or c.image_size % e.grid:
        raise InputError(
            f"config.model.encoder.grid={e.grid} does not divide config.model.image_size="
            f"{c.image_size}; use {c.image_size} or a part of it"
        )
    encoder = encoders.make(e.name, image_size=e.image_size or None, options=e.options)
    return ImageFeatures(encoder, e.grid, e.channels, e.scale, e.tuned)
