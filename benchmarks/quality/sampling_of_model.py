"""A trained model under the settings of `sampling_settings`, map by map at the network's own size.

An image is encoded once for all settings, or not at all where its features lie beside its records.
Each setting and number of steps is compiled once, for batches of one shape.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.quality.planted_errors import item_of, with_features
from benchmarks.quality.sampling_settings import ScaledDdim, Setting
from benchmarks.quality.step_checkpoints import model_of
from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.diffusion import sampling
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from bitdiff_jax.evaluation import distribution
from bitdiff_jax.evaluation.host_contingency import as_partition, contingency
from bitdiff_jax.inference import drawing, loading
from bitdiff_jax.model import valid_mask


class Run(NamedTuple):
    """A setting, its number of steps, and the samples of each image, each from another seed."""

    setting: Setting
    num_steps: int
    num_samples: int


class Batch(NamedTuple):
    """Images as the network is shown them."""

    indices: Sequence[int]
    labels: list[Sequence[np.ndarray]]
    cond: Any  # a tree of [B, ...]
    valid: jax.Array  # bool [B, S, S]
    sizes: list[tuple[int, int]]  # of the valid rectangles


class Drawer:
    """Draws maps of a few images at a time.

    Attributes:
        model: the model.
        source: images with the maps of annotators.
    """

    def __init__(self, checkpoint: str, data: str):
        self._loaded = loading.load(checkpoint, model=model_of(checkpoint))
        self.model = self._loaded.model
        source = specs.open_source(data, image_size=self.model.image_size)
        self.source = with_features(source, self._loaded)
        self._params = drawing.split_encoder(self.model, self._loaded.params)[0]
        self._condition = jax.jit(self.model.encode_image)
        self._programs: dict[tuple[str, int], Callable[..., jax.Array]] = {}

    def batch(self, indices: Sequence[int]) -> Batch:
        """Images by their place in the source."""
        records = [self.source[i] for i in indices]
        items = [item_of(self._loaded, record) for record in records]
        arrays, _, sizes = zip(*(drawing.prepare(x, self.model, None) for x in items), strict=True)
        shown = jax.tree.map(lambda *each: jnp.stack(each), *arrays)
        valid = valid_mask(jnp.array(sizes, jnp.int32), (self.model.image_size,) * 2)
        cond = self._condition(self._params, shown["image"], valid, shown.get("features"))
        return Batch(indices, [record["labels"] for record in records], cond, valid, list(sizes))

    def draw(self, run: Run, batch: Batch) -> np.ndarray:
        """Codes int32 [B, num_samples, S, S], -1 on padding; settings share their initial noise."""
        cond, valid = jax.tree.map(
            lambda x: jnp.repeat(x, run.num_samples, 0), (batch.cond, batch.valid)
        )
        seeds = np.tile(np.arange(run.num_samples), len(batch.indices))
        keys = jax.vmap(lambda seed, image: jax.random.fold_in(jax.random.key(seed), image))(
            seeds, np.repeat(np.array(batch.indices), run.num_samples)
        )
        key = run.setting.name, run.num_steps
        if key not in self._programs:
            self._programs[key] = self._program(run.setting, run.num_steps)
        codes = np.where(valid, self._programs[key](self._params, keys, cond, valid), -1)
        return codes.reshape(len(batch.indices), run.num_samples, *codes.shape[1:])

    def _program(self, setting: Setting, num_steps: int) -> Callable[..., jax.Array]:
        model, as_released = self.model, self.model.objective.padding == "as_released"

        @jax.jit
        def program(params: Any, keys: jax.Array, cond: Any, valid: jax.Array) -> jax.Array:
            def network(x_t: jax.Array, t: jax.Array, shown: Any, *previous: Any) -> jax.Array:
                return model.apply(params, x_t, t, shown, *previous)

            denoise, schedule, sampler = setting.applied(network, model.schedule, num_steps)
            null = jax.tree.map(jnp.zeros_like, cond)
            shape = (*valid.shape[1:], model.encoding.num_channels)
            pairs = jax.vmap(jax.random.split)(keys)
            x0 = sampling.sample(
                denoise,
                jax.vmap(lambda key: jax.random.normal(key, shape))(pairs[:, 0]),
                cond if setting.interval is None else (cond, null),
                sampler,
                schedule=schedule,
                prediction=model.prediction,
                null_cond=null,
                keys=pairs[:, 1],
                valid_mask=valid,
                pad_value=-1.0 if as_released else model.encoding.pad_value,
                self_condition=model.self_conditioned,
            )
            return model.encoding.decode(x0)

        return program

    def rows(self, indices: Sequence[int], runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
        """A row for each image of each run; the images of `indices` are drawn as one batch."""
        if not runs:
            return
        batch = self.batch(indices)
        for run in runs:
            maps = self.draw(run, batch)
            for i, labels, samples, (h, w) in zip(
                indices, batch.labels, maps, batch.sizes, strict=True
            ):
                scores = scores_of(samples[:, :h, :w], labels)
                yield {"image": i, "setting": run.setting.name, "num_steps": run.num_steps,
                       "num_samples": run.num_samples, **scores}  # fmt: skip


def settings(self_conditioned: bool) -> list[tuple[Setting, int]]:
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
        (Setting("DDIM, temperature .8, guidance 0", {**ddim, "temperature": 0.8}), 2),
        (Setting("DDIM without its guess, guidance 0", ddim, guess=False), 2),
    ]
    for name, fields in methods.items():
        found.append((Setting(f"{name}, guidance 1", {**fields, **guided}), 1))
        found.append((Setting(f"{name}, guidance 1, temperature .1", {**fields, **cold}), 1))
    interval = Setting(
        "DDIM, guidance 1 in -6 .. 0, temperature .1", {**ddim, **cold}, interval=(-6.0, 0.0)
    )
    found.append((interval, 1))
    return [each for each in found if each[0].guess or self_conditioned]


def scores_of(samples: np.ndarray, labels: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean ARI and IoU of a sample, GED^2 with distance 1 - Rand, and the number of regions."""
    truths = [labelmaps.renumber(labelmaps.at_centres(x, samples[0].shape))[1] for x in labels]
    tables = [contingency(as_partition(a), b) for a in samples for b in truths]
    found = distribution.distances(samples, truths)["rand"]
    if len(truths) == 1:  # a single truth is all of its distribution, up to a constant
        found = found._replace(annotators=np.zeros((2, 2)))
    return {
        "ari": float(np.mean([metrics.adjusted_rand_index_from_table(x) for x in tables])),
        "iou": float(np.mean([metrics.hungarian_iou_from_table(x) for x in tables])),
        "ged2": distribution.ged2(found),
        "diversity": distribution.spread(found.samples),
        "regions": float(np.mean([len(np.unique(x)) for x in samples])),
    }
