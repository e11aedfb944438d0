"""Do samples differ as much as annotators do, and from the right maps?

Of each image, over the samples and the annotators' maps at `--size` pixels, with each distance of
`evaluation.distribution`: how far samples are from each other, as a share of how far annotators
are ('diversity'); the share of annotators with a sample as near as the nearest other annotator
('coverage'); and the squared energy distance, with self-pairs left out (U, unbiased, 0 for samples
of the annotators' own distribution) and counted (V, as the literature has it). Each annotator held
against the others would have coverage 1 and, in V, what the table says of 'people'. 95 % intervals
are over images.

    python -m benchmarks.quality.diversity --data bsds500:BSDS500,split=val \
        --checkpoint photos --temperature 1 --guidance_weight 0
    python -m benchmarks.quality.diversity --data bsds500:BSDS500,split=val \
        --drawn samples.npz
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.quality import consensus
from bitdiff_jax.data import specs
from bitdiff_jax.diffusion import presets
from bitdiff_jax.evaluation import distribution
from bitdiff_jax.evaluation.distribution import DISTANCES, Distances
from bitdiff_jax.evaluation.statistics import estimates

METRICS: dict[str, Callable[[Distances], float]] = {
    "samples": lambda d: distribution.spread(d.samples),
    "people": lambda d: distribution.spread(d.annotators),
    "coverage": distribution.coverage,
    "GED2 U": distribution.ged2,
    "GED2 V": lambda d: distribution.ged2(d, self_pairs="counted"),
}


def ratio(above: np.ndarray, below: np.ndarray, draws: int = 2000) -> estimates.Estimate:
    """The ratio of two means over the same images, with its interval by drawing images anew."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(above), size=(draws, len(above)))
    again = above[chosen].mean(axis=1) / below[chosen].mean(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return estimates.Estimate(
        float(above.mean() / below.mean()), float(low), float(high), len(above)
    )


def rows_of(case: consensus.Case) -> dict[str, list[float]]:
    """The metrics of an image by distance, in the order of `METRICS`."""
    found = distribution.distances(case.samples, case.truths)
    return {name: [metric(d) for metric in METRICS.values()] for name, d in found.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="images with the maps of annotators")
    drawn_by = parser.add_mutually_exclusive_group(required=True).add_argument
    drawn_by("--checkpoint", help="weights by name, or the --workdir of a training")
    drawn_by("--drawn", help="npz file of samples, NAME.codes [n, h, w]")
    drawn_by("--predictions", help="files with several maps of each image")
    add("--num_samples", type=int, default=16, help="samples that the model draws (16)")
    add("--preset", choices=sorted(presets.SETTINGS), help="how it draws (as it is told to)")
    add("--temperature", type=float, help="of them (the model's own)")
    add("--guidance_weight", type=float, help="of them (the model's own)")
    add("--num_images", type=int, default=100, help="images, at most (100)")
    add("--size", type=int, default=64, help="longest side of the maps (64)")
    args = parser.parse_args(argv)

    source = specs.open_source(args.data, image_size=args.size)
    few = (source, min(args.num_images, len(source)), args.size)
    if args.drawn is not None:
        cases = consensus.of_drawn(*few, args.drawn)
    elif args.predictions is not None:
        cases = consensus.of_files(*few, args.predictions)
    else:
        names = ("preset", "guidance_weight", "temperature")
        settings = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        cases = consensus.of_model(*few, args.checkpoint, args.num_samples, **settings)
    # Of a single annotator nothing here is defined.
    rows = [rows_of(case) for case in cases if len(case.truths) > 1]
    print(f"{args.data}, {args.size} px: {len(rows)} images with two annotators or more")
    columns = ("diversity", *METRICS)
    print(f"{'':22}" + "".join(f"{name:>25}" for name in columns))
    for name, formula in DISTANCES.items():
        values = np.array([row[name] for row in rows])
        by_metric = dict(zip(METRICS, values.T, strict=True))
        cells = [ratio(by_metric["samples"], by_metric["people"])]
        cells += [estimates.bootstrap(each) for each in by_metric.values()]
        print(f"{formula:22}" + "".join(
            f"{f'{e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]':>25}" for e in cells
        ))  # fmt: skip


if __name__ == "__main__":
    main()
