"""Does an interval of `Posterior.measure` hold the truth as often as it says?

Scenes whose posterior over partitions is known: exact draws of it are the samples, and one more is
the truth. Alone these scenes have few partitions, so that counts and areas repeat and an interval
holds more than its level; `--tiles` puts several side by side, whose counts add up to numbers that
hardly repeat. 'inside' is the share of truths off both ends of their interval; a number that never
repeats has no more than 1 / n less of it.

    python -m benchmarks.quality.interval_coverage --num_scenes 500
    python -m benchmarks.quality.interval_coverage --num_scenes 500 --tiles 16
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.posterior import measures
from bitdiff_jax.posterior.distributions import distribution
from bitdiff_jax.scenes import PosteriorSource

LEVEL = 0.9
NUMBERS = ("count", "area", "perimeter")


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


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--kind", default="mixed", help="of scenes, see `PosteriorSource` (mixed)")
    add("--num_scenes", type=int, default=500, help="truths (500)")
    add("--num_samples", type=int, nargs="+", default=[16], help="draws of the posterior (16)")
    add("--tiles", type=int, default=1, help="scenes side by side (1)")
    args = parser.parse_args(argv)
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
