"""Three tests of a denoiser that need no known posterior, only data that it should model.

1. **Reliability of bits.** From x_t of true maps, a network that knows E[x0 | x_t] predicts each
   bit as sure as it turns out: the slope of bits on predictions, E[b g] / E[g^2], is 1 at every
   logsnr (above 1: too unsure; below: too sure). Beside it the mean gap between predicted and found
   frequencies in ten bins.
2. **Samples against the prediction at t = 1.** x_1 says nothing, so that the prediction there is
   E[x0], and so is the mean of samples without guidance. Their mean squared difference is unbiased:
   what `num_samples` samples differ by chance is subtracted; it is given as a share of the variance
   of the bits, 1 - E[x0]^2.
3. **Bound against entropy.** The variational bound in bits is on average no less than the entropy
   of the data. That is known for scenes with a known posterior alone; what the bound exceeds it by
   is the cost of the network's errors.

    python -m benchmarks.quality.self_consistency --weights photos \
        --data bsds500:BSDS500,split=val
    python -m benchmarks.quality.self_consistency --checkpoint runs/posterior \
        --data posterior,seed=5

The codes that the palette gives the true maps are x0. 95 % intervals are over images.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.quality.planted_errors import item_of, with_features
from bitdiff_jax.cli import options
from bitdiff_jax.data import labelmaps, specs, transforms
from bitdiff_jax.diffusion import bound, presets
from bitdiff_jax.diffusion.parameterization import diffuse, expand, to_x0
from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.evaluation.statistics.estimates import Estimate
from bitdiff_jax.inference import drawing
from bitdiff_jax.inference.drawing import Item
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.inference.request import Request
from bitdiff_jax.model import valid_mask
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.scenes import PosteriorSource

LOGSNRS = (-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 2.0)
BINS = 10

Guess = Callable[[jax.Array, jax.Array, Any], jax.Array]  # (x_t, t, cond) -> E[x0 | x_t]


class Case(NamedTuple):
    """True maps of one image."""

    x0: jax.Array  # float32 [n, H, W, C], -1 or 1
    cond: Any  # of each, a tree of [n, ...]
    valid: jax.Array  # bool [n, H, W]


def predictions(
    guess: Guess, case: Case, schedule: Schedule, logsnr: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What is guessed of each valid bit from x_t of a logsnr, and the bit, float [n]."""
    t = schedule.t_at(jnp.full(len(case.x0), logsnr))
    eps = jax.random.normal(jax.random.key(seed), case.x0.shape)
    alpha, sigma = (expand(f(t), case.x0) for f in (schedule.alpha, schedule.sigma))
    found = guess(diffuse(case.x0, eps, alpha, sigma), t, case.cond)
    inside = np.asarray(case.valid)
    return np.asarray(found)[inside].ravel(), np.asarray(case.x0)[inside].ravel()


def reliability(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Estimate, float]:
    """The slope of bits on guesses with its interval over images, and the mean gap of the bins.

    Args:
        pairs: of each image, guesses and bits as `predictions` gives them.
    """
    products = np.array([[(bit * g).sum(), (g * g).sum()] for g, bit in pairs], np.float64)
    again = products[np.random.default_rng(0).integers(len(pairs), size=(1000, len(pairs)))]
    slopes = again[..., 0].sum(1) / again[..., 1].sum(1)
    above, below = products.sum(axis=0)
    low, high = np.quantile(slopes, [0.025, 0.975])
    guesses, bits = (np.concatenate(each) for each in zip(*pairs, strict=True))
    place = np.minimum(((guesses + 1) / 2 * BINS).astype(int), BINS - 1)
    gap = np.abs(np.bincount(place, bits - guesses, BINS)).sum() / 2 / len(bits)
    return estimates.estimate(above / below, low, high, len(pairs)), float(gap)


def excess(samples: np.ndarray, prediction: np.ndarray, valid: np.ndarray) -> float:
    """The squared difference between the mean of samples and a prediction, see test 2.

    Args:
        samples: float [n, H, W, C], -1 or 1.
        prediction: float [H, W, C], of their mean.
        valid: bool [H, W].
    """
    mean, expected = samples.mean(axis=0)[valid], prediction[valid]
    chance = (1 - mean**2) / (len(samples) - 1)
    return float(((mean - expected) ** 2 - chance).mean() / (1 - expected**2).mean())


def at_the_end(guess: Guess, cond: Any, shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """The prediction of x0 at t = 1, from noise alone, float [n, H, W, C]."""
    noise = jax.random.normal(jax.random.key(seed), shape)
    return np.asarray(guess(noise, jnp.ones(shape[0]), cond))


def bits_of(
    guess: Guess, case: Case, schedule: Schedule, pad_value: float = 0.0, num_times: int = 32
) -> np.ndarray:
    """The bound in bits of each map, float [n]."""
    found = bound.variational_bound(
        guess, case.x0, case.cond, jax.random.split(jax.random.key(2), len(case.x0)),
        schedule=schedule, num_times=num_times, valid_mask=case.valid, pad_value=pad_value,
    )  # fmt: skip
    return np.asarray(found.total)


class Tester:
    """A model, and the true maps of images that it should draw."""

    def __init__(self, loaded: Loaded, data: str):
        model = loaded.model
        self.loaded, self.params = loaded, drawing.split_encoder(model, loaded.params)[0]
        source = specs.open_source(data, image_size=model.image_size)
        self.scenes = source if isinstance(source, PosteriorSource) else None
        self.source = with_features(source, loaded)
        as_released = model.objective.padding == "as_released"
        self.pad_value = -1.0 if as_released else model.encoding.pad_value

        @jax.jit
        def guess(params: Any, x_t: jax.Array, t: jax.Array, cond: Any) -> jax.Array:
            previous = (jnp.zeros_like(x_t),) if model.self_conditioned else ()
            alpha, sigma = (expand(f(t), x_t) for f in (model.schedule.alpha, model.schedule.sigma))
            output = model.apply(params, x_t, t, cond, *previous)
            return jnp.clip(to_x0(output, x_t, alpha, sigma, model.prediction), -1, 1)

        self.guess = lambda *args: guess(self.params, *args)

    def case(self, item: Item, labels: Sequence[np.ndarray], num_maps: int) -> Case:
        """The first true maps of an image; an annotator's twice where there are fewer."""
        model = self.loaded.model
        arrays, _, size = drawing.prepare(item, model, None)
        small = [labelmaps.resize_labels(np.asarray(each, np.int32), size) for each in labels]
        square = [
            transforms.pad_to_square(labelmaps.compact(each)[0], model.image_size, labelmaps.IGNORE)
            for each in small
        ]
        rows = jnp.asarray(np.stack([square[k % len(square)] for k in range(num_maps)]))
        sizes = jnp.tile(jnp.asarray(size, jnp.int32), (num_maps, 1))
        valid = valid_mask(sizes, rows.shape[1:])
        shown = {name: jnp.asarray(each)[None] for name, each in arrays.items()}
        cond = model.encode_image(self.params, shown["image"], valid[:1], shown.get("features"))
        x0 = jnp.where(valid[..., None], model.target(rows, sizes).x0, self.pad_value)
        return Case(x0, jax.tree.map(lambda x: jnp.repeat(x, num_maps, axis=0), cond), valid)

    def samples(self, item: Item, count: int) -> np.ndarray:
        """Bits -1 or 1 of maps that are drawn as `faithful` says, float [count, h, w, C]."""
        model, request = self.loaded.model, Request(count, batch_size=16, min_area=0)
        sampler = presets.FAITHFUL.without_idle_half()
        drawn = next(drawing.draw(model, self.loaded.params, [item], sampler, request))
        return np.asarray(model.encoding.encode(jnp.asarray(drawn.codes)))

    def lines(self, num_images: int, num_maps: int, num_samples: int) -> Iterator[str]:
        """What the three tests say, line by line."""
        schedule = self.loaded.model.schedule
        chosen = np.linspace(0, len(self.source), num_images, endpoint=False).astype(int).tolist()
        records = [self.source[index] for index in chosen]
        items = [item_of(self.loaded, record) for record in records]
        cases = [
            self.case(item, record["labels"], num_maps)
            for item, record in zip(items, records, strict=True)
        ]
        yield f"{'logsnr':>8}{'slope':>26}{'gap':>8}"
        for logsnr in LOGSNRS:
            pairs = [
                predictions(self.guess, case, schedule, logsnr, seed)
                for seed, case in enumerate(cases)
            ]
            e, gap = reliability(pairs)
            slope = f"{e.mean:.3f} {estimates.interval_text(e.low, e.high, 3)}"
            yield f"{logsnr:8g}{slope:>26}{gap:8.4f}"
        found = []
        for item, case in zip(items, cases, strict=True):
            samples = self.samples(item, num_samples)
            _, h, w, _ = samples.shape
            end = at_the_end(self.guess, case.cond, case.x0.shape)[0, :h, :w]
            found.append(excess(samples, end, np.ones((h, w), bool)))
        e = estimates.bootstrap(np.array(found))
        interval = estimates.interval_text(e.low, e.high)
        yield f"samples against t = 1: {e.mean:.4f} {interval} of the bits' variance"
        costs = np.array(
            [bits_of(self.guess, case, schedule, self.pad_value).mean() for case in cases]
        )
        yield f"bound: {costs.mean():.1f} bits a map"
        if self.scenes is not None:
            known = [self.scenes.scene(index).entropy() / math.log(2) for index in chosen]
            e = estimates.bootstrap(costs - known)
            interval = estimates.interval_text(e.low, e.high, 1)
            yield f"above the entropy by {e.mean:.1f} {interval} bits"


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the three tests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    options.add_weights(parser)
    options.add_param_set(add)
    add("--data", required=True, help="images with label maps, as of `bitdiff evaluate`")
    add("--num_images", type=int, default=4, help="images, evenly spaced (4)")
    add("--num_maps", type=int, default=4, help="true maps of each (4)")
    add("--num_samples", type=int, default=64, help="samples of each for the second test (64)")
    args = parser.parse_args(argv)
    compilation_cache.enable()
    loaded = options.load_weights(args, args.param_set, mesh=mesh_lib.make_mesh())
    tester = Tester(loaded, args.data)
    print(f"{options.weights_name(args)} on {args.data}: {args.num_images} images")
    for line in tester.lines(args.num_images, args.num_maps, args.num_samples):
        print(line, flush=True)


if __name__ == "__main__":
    main()
