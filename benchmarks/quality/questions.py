"""What questions about two points are worth, answered from one annotator's map.

Samples of an image are a posterior. It asks whether two points lie in one region, the answer is
read off one annotator's map, and the consensus that holds all answers so far
(`Posterior.next_question`, `Posterior.consensus(criterion, same, different)`) is held against that
map, after 1, 2, 4, 8 answers. Beside it stand pairs of points at random, answered likewise; an
answer that the consensus cannot hold, because no sample parts the points, is ignored. Image i is
answered by annotator i modulo their number. Intervals of 95 % are over images, differences are
paired.

    python -m benchmarks.quality.questions --data bsds500:BSDS500,split=val \
        --checkpoint photos --temperature 1 --guidance_weight 1
    python -m benchmarks.quality.questions --data bsds500:BSDS500,split=val \
        --drawn samples.npz --reliability 1 .8

With `--reliability` answers are also used the other way, which conditions the samples on them
(`Posterior.best_question`, `Posterior.given`): 1 leaves out every sample that contradicts one; an
answer that no sample is left to meet is then ignored.
"""

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.quality import consensus
from bitdiff_jax.data import specs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.posterior import Posterior
from bitdiff_jax.posterior.answers import answers_of
from bitdiff_jax.posterior.consensus import LINKED

Pair = tuple[tuple[int, int], tuple[int, int]]
POLICIES = ("best", "random")
HELD = "held"


class Held(NamedTuple):
    """A posterior and answers that its consensus holds."""

    posterior: Posterior
    criterion: str
    same: tuple[Pair, ...] = ()
    different: tuple[Pair, ...] = ()

    def best(self) -> Pair | None:
        """The pair whose answer the consensus gains most by."""
        question = self.posterior.next_question(self.same, self.different, self.criterion)
        return None if question is None else (question.p, question.q)

    def told(self, pair: Pair, is_same: bool) -> "Held":
        """The same with one more answer; itself if no map can hold it."""
        name = "same" if is_same else "different"
        more = self._replace(**{name: (*getattr(self, name), pair)})
        try:
            answers_of(self.posterior.atoms, more.same, more.different)
        except InputError:
            return self
        return more

    def consensus(self) -> np.ndarray:
        """The consensus that holds the answers."""
        return self.posterior.consensus(self.criterion, self.same, self.different)


class Conditioned(NamedTuple):
    """A posterior that answers condition."""

    posterior: Posterior
    criterion: str
    reliability: float

    def best(self) -> Pair | None:
        """The pair whose answer says most; None if the samples agree on every pair."""
        question = self.posterior.best_question()
        return None if question is None else (question.p, question.q)

    def told(self, pair: Pair, is_same: bool) -> "Conditioned":
        """The posterior after one more answer; itself if no sample is left."""
        name = "same" if is_same else "different"
        try:
            found = self.posterior.given(**{name: [pair]}, reliability=self.reliability)
        except InputError:
            return self
        return self._replace(posterior=found)

    def consensus(self) -> np.ndarray:
        """The consensus of what is left."""
        return self.posterior.consensus(self.criterion)


def at_random(rng: np.random.Generator, shape: tuple[int, int]) -> Pair:
    """Two pixels, each as likely as the others."""
    rows, columns = (rng.integers(side, size=2).tolist() for side in shape)
    return (rows[0], columns[0]), (rows[1], columns[1])


def aris_of(
    state: Held | Conditioned,
    truth: np.ndarray,
    answers: Sequence[int],
    rng: np.random.Generator | None = None,
) -> list[float]:
    """The ARI of the consensus to a map that answers, after these numbers of answers.

    Args:
        state: before the first question.
        truth: int [h, w], the map.
        answers: numbers of answers.
        rng: of random pairs; None for the best ones.
    """
    aris = []
    for number in range(1, max(answers) + 1):
        pair = state.best() if rng is None else at_random(rng, truth.shape)
        if pair is not None:
            state = state.told(pair, bool(truth[pair[0]] == truth[pair[1]]))
        if number in answers:
            aris.append(consensus.scores(state.consensus(), [truth])[0])
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
    add("--reliability", type=float, nargs="*", default=[], help="of answers that condition")
    add("--answers", type=int, nargs="+", default=[1, 2, 4, 8], help="(1 2 4 8)")
    add("--criterion", choices=LINKED, default=LINKED[0], help="of the consensus (linkage)")
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
        appearance = None if case.result is None else case.result.appearance
        posterior = Posterior.from_maps(case.samples, appearance=appearance)
        truth = case.truths[case.image % len(case.truths)]
        start.append(consensus.scores(posterior.consensus(args.criterion), [truth])[0])
        states: dict[str, Held | Conditioned] = {HELD: Held(posterior, args.criterion)}
        for each in args.reliability:
            states[f"{each:g}"] = Conditioned(posterior, args.criterion, each)
        for name, state in states.items():
            for policy in POLICIES:
                rng = np.random.default_rng(case.image) if policy == "random" else None
                aris = aris_of(state, truth, args.answers, rng)
                scores.setdefault(f"{name} {policy}", []).append(aris)
        if args.json is not None:
            args.json.write_text(json.dumps({"start": start, **scores}))
    print(f"{args.data}: {len(start)} images, ARI without answers {np.mean(start):.3f}")
    print("reliability  answers" + "".join(f"{name:>25}" for name in (*POLICIES, "difference")))
    for name in (HELD, *(f"{each:g}" for each in args.reliability)):
        by_policy = [np.array(scores[f"{name} {policy}"]) for policy in POLICIES]
        for k, number in enumerate(args.answers):
            columns = [each[:, k] - start for each in by_policy]
            cells = [estimates.bootstrap(each) for each in (*columns, columns[0] - columns[1])]
            print(f"{name:>11}{number:9}" + "".join(
                f"{f'{e.mean:+.3f} [{e.low:+.3f}, {e.high:+.3f}]':>25}" for e in cells
            ))  # fmt: skip


if __name__ == "__main__":
    main()
