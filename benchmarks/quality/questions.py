"""What `Posterior.best_question` is worth: questions answered from one annotator's map.

Samples of an image are a posterior. It asks whether two points lie in one region, the answer is
read off one annotator's map, the posterior is conditioned on it (`Posterior.given`), and its
consensus is held against that map, after 1, 2, 4, 8 answers. Beside it stand pairs of points at
random, answered likewise, and both for several reliabilities of the answers: 1 leaves out every
sample that contradicts one; an answer that no sample is left to meet is then ignored. Image i is
answered by annotator i modulo their number. Intervals of 95 % are over images, differences are
paired.

    python -m benchmarks.quality.questions --data folder:BSDS500,split=val,zero=region \
        --checkpoint photos --temperature 1 --guidance_weight 1
    python -m benchmarks.quality.questions --data folder:BSDS500,split=val,zero=region \
        --drawn samples.npz
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.quality import consensus
from bitdiff_jax.data import specs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior.consensus import CRITERIA

Point = tuple[int, int]
Ask = Callable[[Posterior], tuple[Point, Point] | None]
POLICIES = ("best", "random")


def best(posterior: Posterior) -> tuple[Point, Point] | None:
    """The pair whose answer says most; None if the samples agree on every pair."""
    question = posterior.best_question()
    return None if question is None else (question.p, question.q)


def at_random(rng: np.random.Generator) -> Ask:
    """Asks about two pixels, each as likely as the others."""

    def ask(posterior: Posterior) -> tuple[Point, Point]:
        shape = posterior.label_maps.shape[1:]
        rows, columns = (rng.integers(side, size=2).tolist() for side in shape)
        return (rows[0], columns[0]), (rows[1], columns[1])

    return ask


def informed(posterior: Posterior, ask: Ask, truth: np.ndarray, reliability: float) -> Posterior:
    """The posterior after one question that a map answered; itself if nothing can be learnt."""
    if (pair := ask(posterior)) is None:
        return posterior
    p, q = pair
    name = "same" if truth[p] == truth[q] else "different"
    try:
        return posterior.given(**{name: [pair]}, reliability=reliability)
    except InputError:  # no sample is left
        return posterior


def aris_of(
    posterior: Posterior, ask: Ask, truth: np.ndarray, reliability: float, answers: Sequence[int],
    criterion: str,
) -> list[float]:  # fmt: skip
    """The ARI of the consensus after these numbers of answers."""
    aris = []
    for number in range(1, max(answers) + 1):
        posterior = informed(posterior, ask, truth, reliability)
        if number in answers:
            aris.append(consensus.scores(posterior.consensus(criterion), [truth])[0])
    return aris


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", required=True, help="images with the maps of annotators")
    drawn_by = parser.add_mutually_exclusive_group(required=True).add_argument
    drawn_by("--checkpoint", help="weights by name, or the --workdir of a training")
    drawn_by("--drawn", help="npz file of samples, NAME.codes [n, h, w]")
    add("--num_samples", type=int, default=16, help="samples that the model draws (16)")
    add("--temperature", type=float, default=1.0, help="of them (1)")
    add("--guidance_weight", type=float, default=0.0, help="of them (0)")
    add("--num_images", type=int, default=100, help="images, at most (100)")
    add("--size", type=int, default=64, help="longest side of the maps (64)")
    add("--reliability", type=float, nargs="+", default=[1.0, 0.9, 0.8], help="(1 .9 .8)")
    add("--answers", type=int, nargs="+", default=[1, 2, 4, 8], help="(1 2 4 8)")
    add("--criterion", choices=CRITERIA, default="vi", help="of the consensus (vi)")
    add("--json", type=pathlib.Path, help="file to write the scores to")
    args = parser.parse_args(argv)

    source = specs.open_source(args.data, image_size=args.size)
    few = (source, min(args.num_images, len(source)), args.size)
    if args.drawn is not None:
        cases = consensus.of_drawn(*few, args.drawn)
    else:
        cases = consensus.of_model(
            *few, args.checkpoint, args.num_samples, temperature=args.temperature,
            guidance_weight=args.guidance_weight,
        )  # fmt: skip
    start: list[float] = []
    scores: dict[str, list[list[float]]] = {}
    for case in cases:
        posterior = Posterior.from_maps(case.samples)
        truth = case.truths[case.image % len(case.truths)]
        start.append(consensus.scores(posterior.consensus(args.criterion), [truth])[0])
        for reliability in args.reliability:
            for policy, ask in zip(
                POLICIES, (best, at_random(np.random.default_rng(case.image))), strict=True
            ):
                aris = aris_of(posterior, ask, truth, reliability, args.answers, args.criterion)
                scores.setdefault(f"{reliability:g} {policy}", []).append(aris)
        if args.json is not None:
            args.json.write_text(json.dumps({"start": start, **scores}))
    print(f"{args.data}: {len(start)} images, ARI without answers {np.mean(start):.3f}")
    print("reliability  answers" + "".join(f"{name:>25}" for name in (*POLICIES, "difference")))
    for reliability in args.reliability:
        by_policy = [np.array(scores[f"{reliability:g} {policy}"]) for policy in POLICIES]
        for k, number in enumerate(args.answers):
            columns = [each[:, k] - start for each in by_policy]
            cells = [estimates.bootstrap(each) for each in (*columns, columns[0] - columns[1])]
            print(f"{reliability:11g}{number:9}" + "".join(
                f"{f'{e.mean:+.3f} [{e.low:+.3f}, {e.high:+.3f}]':>25}" for e in cells
            ))  # fmt: skip


if __name__ == "__main__":
    main()
