"""The posterior over whole-image partitions that weighted label maps stand for."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bitdiff_jax.errors import InputError
from bitdiff_jax.posterior import answers as answers_lib
from bitdiff_jax.posterior import clicked, constraints, credible, explanation, points, questions
from bitdiff_jax.posterior import consensus as consensus_lib
from bitdiff_jax.posterior import modes as modes_lib
from bitdiff_jax.posterior.agreement import disagreement
from bitdiff_jax.posterior.appearance import Appearance
from bitdiff_jax.posterior.atoms import Atoms, check_weights, refine
from bitdiff_jax.posterior.boundaries import boundary_share
from bitdiff_jax.posterior.constraints import Pairs
from bitdiff_jax.posterior.credible import CredibleBall
from bitdiff_jax.posterior.distributions import Distribution, distribution
from bitdiff_jax.posterior.explanation import Explanation
from bitdiff_jax.posterior.modes import Mode
from bitdiff_jax.posterior.questions import Question


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """A distribution over partitions of an image, as samples with weights.

    The samples are label maps of any origin: drawn by a model, by several tools, by people. Only
    which pixels lie together counts; ids may be renamed at will, in each map on its own. A pixel
    that any map ignores (a negative id) is ignored in all results. Make it with `from_maps`.

    Attributes:
        label_maps: integers [n, h, w], as they were given.
        weights: float64 [n], >= 0, as they were given; probabilities after division by their sum.
        guided: the samples were drawn with guidance, which sharpens: probabilities are too near 0
            and 1, and intervals are too narrow, for the model's own belief.
        appearance: what the image looks like, which the consensus by 'appearance' asks for; None if
            that is not known.

    Example:
        >>> maps = np.array([[[0, 0, 1, 1]], [[0, 0, 0, 1]], [[0, 0, 1, 2]], [[3, 3, 1, 1]]])
        >>> posterior = Posterior.from_maps(maps)
        >>> posterior.prob_same((0, 2), (0, 3)).item()
        0.5
        >>> posterior.given(different=[((0, 2), (0, 3))]).effective_sample_size
        2.0
    """

    label_maps: np.ndarray
    weights: np.ndarray
    guided: bool = False
    appearance: Appearance | None = None

    @classmethod
    def from_maps(
        cls,
        label_maps: ArrayLike,
        weights: ArrayLike | None = None,
        guided: bool = False,
        appearance: Appearance | None = None,
    ) -> "Posterior":
        """The posterior of label maps.

        Args:
            label_maps: integers [n, h, w]; negative = ignore.
            weights: float [n], >= 0, of any positive sum; None for equal weights. A weight of 2 is
                the same as the map twice.
            guided: whether the maps were drawn with guidance, see `guided`.
            appearance: what the image looks like, of any resolution.

        Raises:
            InputError: see `atoms.refine`.
        """
        try:
            maps = np.array(label_maps)  # a copy: what was computed is kept
        except ValueError:
            raise InputError("label_maps differ in shape; bring all to one size first") from None
        count = len(maps) if maps.ndim else 0
        raw = np.ones(count) if weights is None else check_weights(weights, count)
        if appearance is not None and not isinstance(appearance, Appearance):
            raise InputError(
                f"appearance is a {type(appearance).__name__}; give posterior.Appearance(colours, "
                "features)"
            )
        made = cls(maps, raw, guided, appearance)
        _ = made.atoms  # so that maps that cannot be used are refused here
        return made

    def __repr__(self) -> str:
        height, width = self.label_maps.shape[1:]
        return (
            f"Posterior({self.num_samples} label maps of {height} x {width}, effective sample "
            f"size {self.effective_sample_size:.1f}{', guided' * self.guided})"
        )

    @property
    def num_samples(self) -> int:
        """Samples, those of weight 0 included."""
        return len(self.label_maps)

    @property
    def effective_sample_size(self) -> float:
        """(sum w)^2 / sum w^2 (Kish 1965): as many equally weighted samples would say as much.

        Here alone a weight of 2 is not the same as the map twice, which is two samples.
        """
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    @functools.cached_property
    def atoms(self) -> Atoms:
        """The common refinement of the samples of positive weight, see `atoms.refine`."""
        return refine(self.label_maps, self.weights)

    def consensus(
        self, criterion: str | None = None, same: Pairs = (), different: Pairs = ()
    ) -> np.ndarray:
        """One map for all samples, which holds what is known of some pairs of points.

        Unlike `given`, which leaves out samples that contradict an answer, all samples stay, and an
        answer changes what they say about the parts of the image that it concerns, see
        `answers.believed`. So answers may be many, and such as no sample has met.

        Args:
            criterion: see `consensus.consensus`; None for `consensus.default_criterion`, with
                answers for 'linkage'.
            same: pairs (p, q) of points (row, column) that lie in one region of the result.
            different: pairs that lie in two.

        Returns:
            int32 [h, w]; region 0 is the largest, -1 = ignore.

        Raises:
            InputError: there is no such criterion; it is 'appearance', and none is known; or there
                are answers, and it is neither 'linkage' nor 'appearance', no sample parts two
                points that are `different`, the answers contradict each other, or a point is none,
                see `prob_same`.
        """
        answers = answers_lib.answers_of(self.atoms, same, different)
        if not answers.asked.size:
            return self.atoms.label_map(self._consensus(criterion))
        if criterion is None:
            criterion = consensus_lib.LINKED[0]
        found = consensus_lib.consensus(self.atoms, criterion, self.appearance, answers)
        return self.atoms.label_map(found)

    def modes(self, k: int) -> list[Mode]:
        """The k most different answers, each with the probability of all that are nearest to it.

        The samples are partitioned around k medoids by the variation of information, see
        `modes.medoids`.

        Args:
            k: modes wanted, >= 1. There are fewer if fewer samples differ.

        Returns:
            The modes by falling weight, whose sum is 1.

        Raises:
            InputError: k is not an integer >= 1.
        """
        return modes_lib.modes(self.atoms, k)

    def prob_same(self, p: ArrayLike, q: ArrayLike) -> np.ndarray:
        """Probability that two points lie in one region.

        Args:
            p: integers [..., 2], (row, column).
            q: the same; the leading axes of both are broadcast.

        Returns:
            float64 [...].

        Raises:
            InputError: a point is not (row, column), lies outside of the image, or is ignored.
        """
        found = (
            points.atoms_at(self.atoms.index, p, "p"),
            points.atoms_at(self.atoms.index, q, "q"),
        )
        try:
            np.broadcast_shapes(found[0].shape, found[1].shape)
        except ValueError:
            raise InputError(
                f"p holds points {found[0].shape} and q {found[1].shape}; give as many of both"
            ) from None
        return self.atoms.together(*found)

    def region(self, inside: ArrayLike, outside: ArrayLike = ()) -> np.ndarray:
        """How far each pixel belongs to the region that points mean.

        Of one point: the probability to lie in one region with it. Of several: that of lying with
        any point inside, as far as it exceeds that of lying with one outside, see `clicked.belief`.
        `region(...) > 0.5` is the region: it holds all points inside and none outside, and more
        points mend it where the samples err (docs/prompts.md). It may be in several pieces.

        Args:
            inside: (row, column) of a point in the region, or several, integers [n, 2].
            outside: points out of it, likewise.

        Returns:
            float32 [h, w], NaN = ignore.

        Raises:
            InputError: see `prob_same`; a point is both inside and outside, or none is inside.
        """
        return clicked.belief(self.atoms, inside, outside)

    def boundary_probability(self) -> np.ndarray:
        """Probability of each pixel to have a neighbour in another region.

        Neighbours share a side; both sides of a boundary count. Beside an ignored pixel and at the
        edge of the image there is no boundary.

        Returns:
            float32 [h, w], NaN = ignore.
        """
        return boundary_share(self.atoms)

    def entropy(self, criterion: str | None = None) -> np.ndarray:
        """How far the samples differ from the consensus around each pixel, in bits.

        For a pixel whose region is C in the consensus and S in a sample, the expectation over the
        samples of log2(|C| |S| / |C and S|^2): the pixel's part in the conditional entropies
        H(sample | consensus) + H(consensus | sample). Its mean over the pixels is the expected
        variation of information from the consensus (Meila 2007; Wade & Ghahramani 2018, equation
        9), which 'vi' minimises.

        Args:
            criterion: of the consensus, as in `consensus`.

        Returns:
            float32 [h, w], >= 0; NaN = ignore.
        """
        return self.atoms.values_map(disagreement(self.atoms, self._consensus(criterion)))

    def credible_ball(self, level: float = 0.9, criterion: str | None = None) -> CredibleBall:
        """The samples nearest to the consensus by variation of information.

        Args:
            level: probability that the ball holds at least, in (0, 1].
            criterion: of the consensus, as in `consensus`.

        Raises:
            InputError: the level is out of its range, or there is no such criterion.
        """
        return credible.credible_ball(self.atoms, self._consensus(criterion), level)

    def explain(
        self, max_decisions: int = 8, min_share: float = 0.01, criterion: str | None = None
    ) -> Explanation:
        """The few decisions in which the samples differ from their consensus.

        Each is a merge, a split or a move of a part, with its probability; what they say about each
        other, and what share of the expected variation of information they explain. Print it.

        Args:
            max_decisions: decisions at most, >= 1.
            min_share: decisions that explain less of the spread than this are left out, in [0, 1].
            criterion: of the consensus, as in `consensus`.

        Raises:
            InputError: an argument is out of its range, or there is no such criterion.
        """
        return explanation.explain(self.atoms, self._consensus(criterion), max_decisions, min_share)

    def given(
        self, same: Pairs = (), different: Pairs = (), reliability: float = 1.0
    ) -> "Posterior":
        """The posterior after some pairs of points are known to lie together or apart.

        With `reliability` 1, samples that break a constraint get weight 0, the others keep theirs.
        Read `effective_sample_size` of the result: with few samples left, draw more. Samples of a
        model are all wrong somewhere, so that after a few answers few are left, or none; with a
        lower one all stay: each answer that a sample contradicts multiplies its weight by
        (1 - reliability) / reliability.

        Args:
            same: pairs (p, q) of points (row, column) that lie in one region.
            different: pairs that lie in two.
            reliability: probability that the answer to a pair is what the sample nearest to the
                truth says of it, in (.5, 1].

        Raises:
            InputError: no sample meets all constraints and the reliability is 1 (the message names
                the first one at which none was left); it is out of its range; or a point is none,
                see `prob_same`.
        """
        likelihood = constraints.likelihood(self.atoms, same, different, reliability)
        of_maps = np.append(likelihood, 0.0)[self.atoms.partition]  # 0 for maps of weight 0
        return dataclasses.replace(self, weights=self.weights * of_maps)

    def best_question(self, candidates: ArrayLike | None = None) -> Question | None:
        """The pair of points of which it says most whether they lie in one region.

        The answer is certain for any one partition, so that the expected information about the
        partition is the entropy of the answer. Of equal pairs that of the larger atoms is taken.

        Args:
            candidates: integers [m, 2], points (row, column) to ask about; None for the most
                interior pixel of each of the largest atoms, see `units`.

        Returns:
            The question; None if the samples agree on every pair.

        Raises:
            InputError: see `prob_same`.
        """
        return questions.best_question(self.atoms, candidates)

    def next_question(
        self, same: Pairs = (), different: Pairs = (), criterion: str = consensus_lib.LINKED[0]
    ) -> Question | None:
        """The pair of points to ask about next if one map is wanted.

        Of the joins by which `consensus(criterion, same, different)` is found, the one that decides
        most pixels and is most doubtful; see `questions.next_question`. `best_question` says most
        about the samples, and may ask about a part of no size.

        Args:
            same: answers so far, as in `consensus`.
            different: the same.
            criterion: 'linkage' or 'appearance', as in `consensus`.

        Returns:
            The question; None if no join is doubtful.

        Raises:
            InputError: as `consensus`.
        """
        answers = answers_lib.answers_of(self.atoms, same, different)
        linkage = consensus_lib.linked(self.atoms, criterion, self.appearance, answers)
        return questions.next_question(self.atoms, linkage)

    def measure(self, function: Callable[[np.ndarray], Any]) -> Distribution:
        """The distribution of a number that is computed from a label map.

        Args:
            function: of a label map as it was given, integers [h, w]; see `measures` for some.

        Returns:
            Its values for the samples of positive weight.

        Raises:
            InputError: it returns something else than one finite number.
        """
        return distribution(function, self.label_maps, self.weights)

    def _consensus(self, criterion: str | None) -> np.ndarray:
        if criterion is None:
            criterion = consensus_lib.default_criterion(len(self.atoms.regions))
        if criterion not in self._found:
            self._found[criterion] = consensus_lib.consensus(self.atoms, criterion, self.appearance)
        return self._found[criterion]

    @functools.cached_property
    def _found(self) -> dict[str, np.ndarray]:
        """The consensus by criterion: several methods ask for the same one."""
        return {}
