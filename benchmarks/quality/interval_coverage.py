"""Does an interval of `Posterior.measure` hold the truth as often as it says?

Scenes whose posterior over partitions is known: exact draws of it are the samples, and one more is
the truth. Alone these scenes have few partitions, so that counts and areas repeat and an interval
holds more than its level; `--tiles` puts several side by side, whose counts add up to numbers that
hardly repeat. 'inside' is the share of truths off both ends of their interval; a number that never
repeats has no more than 1 / n less of it.

    python -m benchmarks.quality.interval_coverage --num_scenes 500
    python -m benchmarks.quality.interval_coverage --num_scenes 500 --tiles 16

With `--weights` or `--checkpoint` a model's samples take the place of exact draws, as `faithful`
draws them and without specks, and the first annotator's map is the truth, at the network's own
size. Of regions it is the number that is asked for: of all, and of those of `SMALLEST` pixels as
drawn, since smaller ones leave the samples as specks.

    python -m benchmarks.quality.interval_coverage --weights universal --num_images 64 \
        --data folder:DSB2018,split=val,zero=background
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.quality.planted_errors import item_of, with_features
from bitdiff_jax.cli import options
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.diffusion import presets
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import drawing, specks
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.posterior import measures
from bitdiff_jax.posterior.distributions import Distribution, distribution
from bitdiff_jax.scenes import PosteriorSource

LEVEL = 0.9
NUMBERS = ("count", "area", "perimeter")
SMALLEST = 8  # pixels as drawn, see `inference.specks`


def draws(source: PosteriorSource, count: int, tiles: int) -> Iterator[np.ndarray]:
    """Of each scene `count` maps, int [count, h, w * tiles]: scenes side by side, independent."""
    for first in range(0, len(source), tiles):
        maps, above = [], 0
        for index in range(first, first + tiles):
            rng = np.random.default_rng((7, index))
            drawn = source.scene(index).draws(rng, count)
            maps.append(drawn + above)
            above += int(drawn.max()) + 1
        yield np.concatenate(maps, axis=2)


def covered(maps: np.ndarray, rng: np.random.Generator) -> list[tuple[bool, bool]]:
    """Of each of `NUMBERS`: whether the interval of all maps but the first holds that one's value.

    Args:
        maps: int [n + 1, h, w].
        rng: chooses the point of the area.

    Returns:
        (within the interval, strictly within) by number.
    """
    point = tuple(rng.integers(maps.shape[1:]).tolist())
    found = []
    for function in (measures.count(), measures.area(point), measures.perimeter()):
        value = function(maps[0])
        low, high = distribution(function, maps[1:], np.ones(len(maps) - 1)).interval(LEVEL)
        found.append((low <= value <= high, low < value < high))
    return found


def count_cases(
    loaded: Loaded, source: Source, chosen: Sequence[int], num_samples: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of regions, of all and of those of `SMALLEST` pixels, by image.

    Yields:
        Those of the truth [2], and of each sample [num_samples, 2].
    """
    sampler = presets.applied("faithful", sampler_lib.from_settings(loaded.config.sampling))
    request = Request(num_samples, batch_size=num_samples)
    numbers = measures.count(), measures.count(SMALLEST)
    for index in chosen:
        record = source[index]
        item = item_of(loaded, record)
        [drawn] = drawing.draw(
            loaded.model, loaded.params, [item], sampler.without_idle_half(), request
        )
        evidence = specks.evidence(loaded.model.encoding, sampler.decoder, drawn.x0)
        maps = specks.clean(drawn.codes, request.min_area, item.image.shape[:2], evidence)
        truth = labelmaps.resize_labels(record["labels"][0], maps.shape[1:])
        counts = [[number(each) for number in numbers] for each in (truth, *maps)]
        yield np.array(counts[0]), np.array(counts[1:])


def of_model(loaded: Loaded, args: argparse.Namespace) -> Iterator[str]:
    """Says how often the intervals of a model hold the truth, line by line."""
    source = with_features(specs.open_source(args.data, image_size=loaded.model.image_size), loaded)
    chosen = np.random.default_rng(0).permutation(len(source))[: args.num_images].tolist()
    for count in args.num_samples:
        cases = list(count_cases(loaded, source, chosen, count))
        yield f"{len(cases)} images, {count} samples, intervals of {LEVEL:.0%} of a count"
        for k, name in enumerate(("regions", f"regions of {SMALLEST} pixels")):
            truths = np.array([truth[k] for truth, _ in cases])
            samples = np.array([values[:, k] for _, values in cases])
            ends = np.array(
                [Distribution(v, np.full(count, 1 / count)).interval(LEVEL) for v in samples]
            )
            e = estimates.bootstrap(((ends[:, 0] <= truths) & (truths <= ends[:, 1])).astype(float))
            off, wide = np.median(samples.mean(axis=1) - truths), np.median(ends[:, 1] - ends[:, 0])
            yield (
                f"{name:22} {e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]"
                f"  truth below {(truths < ends[:, 0]).mean():.3f}"
                f" above {(truths > ends[:, 1]).mean():.3f}"
                f"  median truth {np.median(truths):g}, mean of samples {off:+.1f}, width {wide:g}"
            )


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--kind", default="mixed", help="of scenes, see `PosteriorSource` (mixed)")
    add("--num_scenes", type=int, default=500, help="truths (500)")
    add("--num_samples", type=int, nargs="+", default=[16], help="draws of the posterior (16)")
    add("--tiles", type=int, default=1, help="scenes side by side (1)")
    options.add_weights(parser, default="universal")
    options.add_param_set(add)
    add("--data", help="images with label maps for a model, as of `bitdiff evaluate`")
    add("--num_images", type=int, default=64, help="of them, chosen by chance (64)")
    args = parser.parse_args(argv)
    if args.data is not None:
        compilation_cache.enable()
        loaded = options.load_weights(args, args.param_set, mesh=mesh_lib.make_mesh())
        print(f"{options.weights_name(args)} on {args.data}")
        for line in of_model(loaded, args):
            print(line, flush=True)
        return
    source = PosteriorSource(args.kind, seed=5, length=args.num_scenes * args.tiles)
    print(f"{args.num_scenes} x {args.tiles} scenes '{args.kind}', intervals of {LEVEL:.0%}")
    for count in args.num_samples:
        rng = np.random.default_rng(0)
        rows = np.array([covered(maps, rng) for maps in draws(source, count + 1, args.tiles)])
        for name, (within, inside) in zip(NUMBERS, np.moveaxis(rows, 0, -1), strict=True):
            e = estimates.bootstrap(within.astype(float))
            print(f"{count:4} samples  {name:10} {e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]"
                  f"  inside {inside.mean():.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
