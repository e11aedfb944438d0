"""A trained model under the settings of `sampling_settings`, map by map at the network's own size.

An image is encoded once for all settings, and the network is compiled once for all of them: the
loop over the steps is Python's, so that other numbers of steps cost no compilation.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.quality.sampling_settings import ScaledDdim, Setting
from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, specs, transforms
from bitdiff_jax.diffusion import sampling
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from bitdiff_jax.evaluation import distribution
from bitdiff_jax.evaluation.host_contingency import as_partition, contingency
from bitdiff_jax.inference import loading, programs
from bitdiff_jax.model import valid_mask

Run = tuple[Setting, int, int]  # a setting, its number of steps, and samples of each image


class Drawer:
    """Draws maps of a few images at a time.

    Attributes:
        model: the model.
        source: images with the maps of annotators.
    """

    def __init__(self, checkpoint: str, data: str):
        loaded = loading.load(checkpoint)
        self.model, params = loaded.model, loaded.params
        self.source = specs.open_source(data, image_size=self.model.image_size)
        self._encoder = {name: params[name] for name in params if name == "encoder"}
        self._params = {name: params[name] for name in params if name != "encoder"}
        self._apply = jax.jit(self.model.apply)

    def condition(self, images: Sequence[np.ndarray]) -> tuple[Any, jax.Array]:
        """What the network is shown of each image, and its valid pixels, bool [B, S, S]."""
        model, side, scale = self.model, self.model.image_size, self.model.image_scale
        sizes = [transforms.resized_shape(*image.shape[:2], side) for image in images]
        shown = [
            transforms.pad_to_square(
                transforms.resize_image(image, (h * scale, w * scale)), side * scale
            )
            for image, (h, w) in zip(images, sizes, strict=True)
        ]
        features = None
        if model.features is not None:
            pairs = zip(images, sizes, strict=True)
            features = jnp.stack([programs.encode(model, self._encoder, *pair) for pair in pairs])
        valid = valid_mask(jnp.array(sizes, jnp.int32), (side, side))
        return model.encode_image(self._params, jnp.stack(shown), valid, features), valid

    def draw(
        self, setting: Setting, num_steps: int, cond: Any, valid: jax.Array, seed: int
    ) -> np.ndarray:
        """Codes int32 [B, S, S], -1 on padding; methods share their initial noise."""
        given, null = cond, jax.tree.map(jnp.zeros_like, cond)
        if setting.interval is not None:
            given = cond, null

        def network(x_t: jax.Array, t: jax.Array, shown: Any) -> jax.Array:
            with jax.disable_jit(False):
                return self._apply(self._params, x_t, t, shown)

        denoise, schedule, sampler = setting.applied(network, self.model.schedule, num_steps)
        shape = (*valid.shape, self.model.encoding.num_channels)
        key_init, key_steps = jax.random.split(jax.random.key(seed))
        with jax.disable_jit():
            x0 = sampling.sample(
                denoise,
                jax.random.normal(key_init, shape),
                given,
                sampler,
                schedule=schedule,
                prediction=self.model.prediction,
                null_cond=null,
                keys=jax.random.split(key_steps, len(valid)),
                valid_mask=valid,
                pad_value=self.model.encoding.pad_value,
            )
        return np.where(valid, self.model.encoding.decode(x0), -1)

    def rows(self, indices: Sequence[int], runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
        """A row for each image of each run; the images of `indices` are drawn as one batch."""
        records = [self.source[i] for i in indices]
        cond, valid = self.condition([record["image"] for record in records])
        for setting, num_steps, num_samples in runs:
            repeated = jax.tree.map(lambda x, n=num_samples: jnp.repeat(x, n, 0), (cond, valid))
            codes = self.draw(setting, num_steps, *repeated, seed=indices[0])
            maps = codes.reshape(len(indices), num_samples, *codes.shape[1:])
            for i, record, samples, inside in zip(indices, records, maps, valid, strict=True):
                h, w = int(inside.any(1).sum()), int(inside.any(0).sum())
                scores = scores_of(samples[:, :h, :w], record["labels"])
                yield {"image": i, "setting": setting.name, "num_steps": num_steps, **scores}


def settings() -> list[tuple[Setting, int]]:
    """The settings, each with the samples of an image; one of them has no energy distance."""
    ddim, second = {"method": Ddim()}, {"method": Dpmpp2M()}
    methods = {"DDPM": {}, "DDIM": ddim, "2M": second}
    guided = {"guidance_weight": 1.0}
    cold = {**guided, "temperature": 0.1}
    found = [(Setting(f"{name}, guidance 0", fields), 2) for name, fields in methods.items()]
    found += [
        (Setting("2M, uniform in logsnr, guidance 0", {**second, "time_grid": "logsnr"}), 2),
        (Setting("DDPM, variance small, guidance 0", {"method": Ddpm("small")}), 2),
        (Setting("DDIM, logsnr told + .5, guidance 0", ddim, shift=0.5), 2),
        (Setting("DDIM, logsnr told - .5, guidance 0", ddim, shift=-0.5), 2),
        (Setting("DDIM, eps / 1.01, guidance 0", {"method": ScaledDdim(1.01)}), 2),
    ]
    for name, fields in methods.items():
        found.append((Setting(f"{name}, guidance 1", {**fields, **guided}), 1))
        found.append((Setting(f"{name}, guidance 1, temperature .1", {**fields, **cold}), 1))
    interval = Setting(
        "DDIM, guidance 1 in -6 .. 0, temperature .1", {**ddim, **cold}, interval=(-6.0, 0.0)
    )
    return [*found, (interval, 1)]


def scores_of(samples: np.ndarray, labels: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean ARI and IoU of a sample, GED^2 with distance 1 - Rand, and the number of regions."""
    truths = [labelmaps.renumber(labelmaps.at_centres(x, samples[0].shape))[1] for x in labels]
    tables = [contingency(as_partition(a), b) for a in samples for b in truths]
    found = distribution.distances(samples, truths)["rand"]
    return {
        "ari": float(np.mean([metrics.adjusted_rand_index_from_table(x) for x in tables])),
        "iou": float(np.mean([metrics.hungarian_iou_from_table(x) for x in tables])),
        "ged2": distribution.ged2(found),
        "diversity": distribution.spread(found.samples),
        "regions": float(np.mean([len(np.unique(x)) for x in samples])),
    }
