"""The model: network, schedule, encoding and palette as pure functions of parameters.

Training, inference, evaluation and export all start here. `model_config` builds it from a config.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bitdiff_jax import image_condition, training_loss
from bitdiff_jax import prompts as prompts_lib
from bitdiff_jax.diffusion import losses, parameterization, prng_keys, sampling, schedules
from bitdiff_jax.diffusion.imposing import Known
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.encoding import dichotomy
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.encoding.interface import Encoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.image_condition import IMAGE_CHANNELS, Condition, Features, ImageFeatures
from bitdiff_jax.nets.network import Network
from bitdiff_jax.prompts import Prompts
from bitdiff_jax.target import Palette, Target, make_target, region_areas, valid_mask
from bitdiff_jax.training_loss import Draws, Objective, RowLosses

Params = Any

_SCHEDULE = schedules.cosine()
_ENCODING = BitEncoding(6)
_PALETTE = Palette()
_OBJECTIVE = Objective()
_PROMPTS = Prompts()
_SAMPLER = Sampler()


class Sample(NamedTuple):
    """What `Model.sample` returns."""

    codes: jax.Array  # int32 [B, S, S], -1 on padding
    certainty: jax.Array  # float32 [B, S, S], probability of the drawn code within this sample
    x0: jax.Array  # float32 [B, S, S, C], from which the codes were read


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
        prompts: which prompts the network takes; none by default.
    """

    net: Network
    image_size: int
    schedule: schedules.Schedule = _SCHEDULE
    encoding: Encoding = _ENCODING
    palette: Palette = _PALETTE
    objective: Objective = _OBJECTIVE
    prediction: parameterization.Prediction = "x"
    time_input: str = "logsnr"
    image_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    image_std: tuple[float, ...] = (0.229, 0.224, 0.225)
    image_scale: int = 1
    features: ImageFeatures | None = None
    prompts: Prompts = _PROMPTS

    @property
    def self_conditioned(self) -> bool:
        """Whether the network takes an earlier guess of x0 as well."""
        return self.objective.self_condition > 0

    @property
    def cond_channels(self) -> int:
        """Number of channels of the condition, for each pixel of the label map."""
        own = IMAGE_CHANNELS * self.image_scale**2 + self.prompt_channels
        return own if self.features is None else own + self.features.channels

    @property
    def prompt_channels(self) -> int:
        """Number P of channels of a prompt; 0 for a model that takes none."""
        return self.prompts.num_channels(self.encoding.num_channels)

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
        return {"net": variables["params"], **self.features.init(key, self.image_size)}

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
        return self.features.encode(params, encoder_image, encoder_size, size, self.image_size)

    def encode_image(
        self,
        params: Params,
        image: jax.Array,
        valid_mask: jax.Array,
        features: Features | None = None,
        prompt: jax.Array | None = None,
    ) -> Condition:
        """The condition; computed once per image and shared by all steps and samples.

        Args:
            params: parameters; those of the feature stem are used, if there is one.
            image: images, uint8 [B, M, M, 3], where M = image_scale * S.
            valid_mask: bool [B, S, S], false on padding.
            features: what `encode` returned, float [B, G, G, C], or stored cells; only for a model
                with an encoder, which needs them.
            prompt: float [B, S, S, P], see `bitdiff_jax.prompts`; only for a model that takes
                prompts, for which None says nothing.

        Returns:
            A tree of arrays of S x S pixels, whose zeros are the empty condition: 'image', the
            normalised image, float32 [B, S, S, 3 * image_scale**2]; with an encoder 'features',
            float32 [B, S, S, channels]; and 'prompt', float32 [B, S, S, P], of a model that takes
            prompts; all are 0 on padding. The image alone, not in a tree, where there is nothing
            else.

        Raises:
            InputError: features are missing, or given to a model without an encoder; or a prompt
                is given to a model that takes none, or has another number of channels.
        """
        if (features is None) != (self.features is None):
            raise InputError(
                "features are given to a model without an encoder; leave them out"
                if self.features is None
                else "features: the model has an encoder; give what `Model.encode` returns"
            )
        shown = image_condition.normalised(image, self.image_mean, self.image_std, self.image_scale)
        seen: dict[str, jax.Array] = {"image": shown}
        if self.features is not None and features is not None:  # by now, both are or none is
            seen["features"] = self.features.reduced(params, features, self.image_size)
        if prompt is not None and prompt.shape[-1] != self.prompt_channels:
            raise InputError(
                f"prompt has {prompt.shape[-1]} channels; the model takes "
                f"{self.prompt_channels or 'no prompts'}"
            )
        if self.prompts:
            nothing = jnp.zeros((*valid_mask.shape, self.prompt_channels), jnp.float32)
            seen["prompt"] = nothing if prompt is None else prompt.astype(jnp.float32)
        seen = jax.tree.map(lambda x: jnp.where(valid_mask[..., None], x, 0), seen)
        return seen if len(seen) > 1 else seen["image"]

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
        feature_channels = 0 if self.features is None else self.features.channels
        return training_loss.draw(
            key, shape, self.objective, self.encoding.num_channels, feature_channels
        )

    def row_losses(self, params: Params, batch: dict[str, jax.Array], draws: Draws) -> RowLosses:
        """The loss of each row and what is logged beside it; no row depends on another.

        Args:
            params: the network's parameters.
            batch: a batch as in `loss`, or any of its rows.
            draws: the rows of `draw` that belong to the batch's rows.
        """
        target = self.target(batch["labels"], batch["size"], draws.codes)
        valid = valid_mask(batch["size"], batch["labels"].shape[1:])
        features = prompt = None
        if self.features is not None:
            features = self.features.of_batch(params, batch, self.image_size)
        if self.prompts:
            prompt = prompts_lib.draw(
                draws.prompts, target.codes, target.x0, self.prompts, self.encoding.num_codes
            )
        return training_loss.row_losses(
            functools.partial(self.apply, params),
            target,
            valid,
            self.encode_image(params, batch["image"], valid, features, prompt),
            draws,
            self.objective,
            num_codes=self.encoding.num_codes,
            schedule=self.schedule,
            prediction=self.prediction,
        )

    def summary(self, totals: RowLosses, batch_size: int) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Sums over the rows of a batch -> the mean loss and a dict of scalars worth logging."""
        name = losses.make(self.objective.loss, self.prediction).name
        return training_loss.summary(totals, batch_size, self.encoding.num_channels, name)

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
        known_codes: jax.Array | None = None,
        prompt: jax.Array | None = None,
        prompt_weight: jax.Array | None = None,
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
            known_codes: codes that the map is to have, int32 [B, S, S], negative where they are
                not known; imposed at every step, see `diffusion.imposing`. Pixels of one code are
                one region. Padding stays padding.
            prompt: float [B, S, S, P], see `encode_image`. A model that takes the prompt 'codes' is
                shown `known_codes` there as well.
            prompt_weight: float32 [B], how closely the map follows: 1 is for the conditional
                distribution. It is the weight of guidance by prompts, of a model that takes any,
                with one evaluation more a step; None is 1. For known codes that are no prompt of
                the model it is that of guidance with the derivative of the network; None, like 0,
                is for replacement alone.

        Raises:
            InputError: codes are known, and the sampler's decoder forgets them.
        """
        if known_codes is not None and sampler.decoder != "code":
            raise InputError(
                f"decoder is {sampler.decoder!r}, which forgets the codes that are imposed; draw "
                "with decoder='code'"
            )
        keys, chosen = prng_keys.typed(keys), sampler.without_idle_half()
        return _sample(
            params, image, size, keys, chosen, features, known_codes, prompt, prompt_weight,
            model=self,
        )  # fmt: skip


@functools.partial(jax.jit, static_argnames="model")
def _sample(
    params: Params,
    image: jax.Array,
    size: jax.Array,
    keys: jax.Array,
    sampler: Sampler,
    features: jax.Array | None,
    known_codes: jax.Array | None,
    prompt: jax.Array | None,
    prompt_weight: jax.Array | None,
    *,
    model: Model,
) -> Sample:
    encoding, as_released = model.encoding, model.objective.padding == "as_released"
    # The images' own shape, which need not be S: a network of convolutions takes others as well.
    square = (image.shape[1] // model.image_scale, image.shape[2] // model.image_scale)
    valid = valid_mask(size, square)
    shape = (*square, encoding.num_channels)
    known = None
    if known_codes is not None:
        mask = valid & (known_codes >= 0)
        areas = region_areas(jnp.where(mask, known_codes, -1), encoding.num_codes)
        low, high = encoding.clip_range
        weight, part = None, model.prompts.channels(encoding.num_channels).get("codes")
        if prompt_weight is not None and part is None:
            weight = prompt_weight[:, None, None] / jnp.maximum(areas, 1)
        known = Known(encoding.encode(known_codes), mask, weight, high - low)
        if part is not None:
            if prompt is None:
                prompt = jnp.zeros((*valid.shape, model.prompt_channels), jnp.float32)
            told = jnp.where(mask[..., None], known.x0, 0)
            prompt = prompt.astype(told.dtype).at[..., part].set(told)
    cond, weaker = model.encode_image(params, image, valid, features, prompt), None
    if model.prompts and prompt_weight is not None:
        nothing = jnp.zeros_like(cond["prompt"])
        weaker = sampling.Weaker(cond | {"prompt": nothing}, prompt_weight - 1)
    key_pairs = jax.vmap(jax.random.split)(keys)
    x0 = sampling.sample(
        functools.partial(model.apply, params),
        jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(key_pairs[:, 0]),
        cond,
        dataclasses.replace(sampler, clip=encoding.clip_range) if sampler.clip is True else sampler,
        schedule=model.schedule,
        prediction=model.prediction,
        weaker=weaker,
        keys=key_pairs[:, 1],
        valid_mask=valid,
        pad_value=-1.0 if as_released else encoding.pad_value,
        self_condition=model.self_conditioned,
        known=known,
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
