"""One result as a visitor looks at it: what is shown, what is asked, what is answered.

What is looked at is a copy of the image of at most `VIEW_SIDE` pixels, on which every question
takes well under a second; files are written from the image at its own size.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.data.contact_sheet import NUM_COLOURS, region_colours
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs, region_table, sample_statistics
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.posterior import Posterior, Question
from bitdiff_jax.serve import adjacency, data_uris

VIEW_SIDE = 768  # pixels of the longest side of what is looked at
_THUMBNAIL = 112

Point = tuple[int, int]  # (row, column) in what is looked at


@dataclasses.dataclass(frozen=True, eq=False)
class ResultView:
    """A result, and how it is looked at; a change gives another one.

    Attributes:
        full: at the image's own size: the samples that agree with all answers, and the criterion
            of the map that is shown.
        small: the same of a copy of the image, see `VIEW_SIDE`.
        posterior: of all samples of the copy; those that an answer contradicts have weight 0.
        answers: yes or no, that were given.
        num_edits: that `full` holds.
    """

    full: Segmentation
    small: Segmentation
    posterior: Posterior
    answers: tuple[bool, ...] = ()
    num_edits: int = 0

    @classmethod
    def of(cls, full: Segmentation, num_edits: int = 0) -> "ResultView":
        """The view of a result that was just drawn, with the edits that it holds."""
        side = min(VIEW_SIDE, max(full.shape))
        shape = transforms.resized_shape(*full.shape, side)
        small = full
        if shape != full.shape:
            image = transforms.resize_image(full.image, shape)
            # What is held is of pixels of the image at its own size; `maps` hold it already.
            small = dataclasses.replace(
                full, image=image, codes=full.maps, drawn=None, held=None, redraw=None
            )
        samples = np.stack([small.label_map(k) for k in range(small.num_samples)])
        # Of many samples, ids of four bytes would fill the memory.
        samples = samples.astype(np.min_scalar_type(samples.max()))
        return cls(full, small, Posterior.from_maps(samples, guided=full.guided), (), num_edits)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        pixels = self.small.image[..., 0].size
        return self.full.image.nbytes + pixels * (8 + 6 * self.posterior.num_samples)

    @property
    def kept(self) -> np.ndarray:
        """intp [k], the samples that no answer contradicts."""
        return np.flatnonzero(self.posterior.weights > 0)

    @functools.cached_property
    def label_map(self) -> np.ndarray:
        """int32 [h, w] of the copy: one map for all samples, ids from 1."""
        return self.small.label_map()

    def cut(self, max_apart: float | None) -> "ResultView":
        """With the map that joins what the samples draw together often enough.

        Args:
            max_apart: mean probability of lying apart up to which regions are joined, in [0, 1]:
                less gives more and smaller regions. None for the default consensus.

        Raises:
            InputError: it is out of its range.
        """
        criterion = None if max_apart is None else f"linkage:{max_apart:g}"
        return dataclasses.replace(
            self,
            full=dataclasses.replace(self.full, criterion=criterion),
            small=dataclasses.replace(self.small, criterion=criterion),
        )

    def answered(self, p: Point, q: Point, same: bool) -> "ResultView":
        """With the samples alone in which two points lie in one region, or in two.

        Args:
            p: the one point.
            q: the other.
            same: whether they do.

        Raises:
            InputError: no sample says so, or a point lies outside.
        """
        pairs = [(p, q)]
        try:
            posterior = (
                self.posterior.given(same=pairs) if same else self.posterior.given(different=pairs)
            )
        except InputError as error:
            self._check(p, q)
            raise InputError(
                "none of the samples that are left says so; take back the answers, draw more "
                "samples, or say it with Together or Apart, which draws anew"
            ) from error
        kept = np.flatnonzero(posterior.weights[self.kept] > 0)
        return dataclasses.replace(
            self,
            full=self.full.of_samples(kept),
            small=self.small.of_samples(kept),
            posterior=posterior,
            answers=(*self.answers, same),
        )

    @functools.cached_property
    def question(self) -> Question | None:
        """What the model would like to be told next; None if the samples that are left agree."""
        return self.posterior.best_question()

    def together(self, p: Point, q: Point) -> str:
        """How probably two points lie in one region, in words.

        Raises:
            InputError: a point lies outside of the image.
        """
        self._check(p, q)
        probability = float(self.posterior.prob_same(p, q))
        count = len(self.kept)
        return (
            f"The two points lie in one region in {round(probability * count)} of {count} "
            f"{'sample' if count == 1 else 'samples'} ({probability:.0%})."
        )

    def regions(self, sample: int | None = None) -> list[dict[str, Any]]:
        """The regions of the map that is shown, as the page's table has them.

        Args:
            sample: one of `kept`; None for the map for all samples.

        Returns:
            Of each region id, colour, area in pixels of the image at its own size and as a share,
            low and high (the 90 % interval of the area over the samples; None of one sample),
            agreement (None of one sample), pieces and neighbours.
        """
        label_map = self._map(sample)
        found = region_table.measure(label_map, self.small.image, self.small.agreement)
        scale = self.full.image[..., 0].size / label_map.size
        intervals: Sequence[tuple[int, int] | None] = [None] * len(found)
        if self.small.num_samples > 1:
            maps = self.posterior.label_maps[self.kept].astype(np.int64)
            intervals = sample_statistics.area_intervals(label_map, maps, scale, len(found))
        around = adjacency.neighbours(label_map)
        colours = region_colours()
        return [
            {
                "id": region.id,
                "colour": colours[(region.id - 1) % NUM_COLOURS].tolist(),
                "area": round(region.area * scale),
                "share": region.area / label_map.size,
                "low": interval and interval[0],
                "high": interval and interval[1],
                "agreement": region.agreement,
                "pieces": region.pieces,
                "neighbours": [each for each in around[region.id] if each > 0],
            }
            for region, interval in zip(found, intervals, strict=True)
        ]

    def shown(self, sample: int | None = None) -> dict[str, Any]:
        """All that the page shows, of plain numbers, texts and data URIs.

        Args:
            sample: one of `kept` to look at; None for the map for all samples.

        Raises:
            InputError: there is no such sample.
        """
        several = self.small.num_samples > 1
        question = self.question
        agreement = self.small.agreement
        return {
            "name": self.full.name,
            "width": self.full.shape[1],
            "height": self.full.shape[0],
            "image": data_uris.jpeg(self.small.image),
            "ids": data_uris.ids(self._map(sample)),
            "boundary": data_uris.png(outputs.as_grey(self.posterior.boundary_probability()))
            if several
            else None,
            "agreement": None
            if agreement is None
            else data_uris.png(outputs.as_grey(agreement)),
            "regions": self.regions(sample),
            "samples": [{"number": int(k), "image": self._thumbnail(k)} for k in self.kept],
            "all": self._thumbnail(None),
            "sample": sample,
            "question": question and {"p": question.p, "q": question.q},
        }  # fmt: skip

    def summary(self) -> str:
        """The result in a sentence."""
        number = int(self.label_map.max())
        noun = "object" if self.full.has_background else "region"
        text = f"{number} {noun}{'' if number == 1 else 's'}"
        count = len(self.kept)
        if count > 1:
            low, high = sample_statistics.count_interval(self.posterior.label_maps[self.kept])
            span = f"{low}" if low == high else f"{low} to {high}"
            text += f" (90 % of the {count} samples have {span})"
            agreement = self.small.agreement
            assert agreement is not None  # of several samples
            text += f", mean agreement {agreement.mean():.2f}"
        return text

    def notes(self) -> list[str]:
        """Why not to trust the result or its probabilities, and what it holds; a sentence each."""
        found = [f"Not to be trusted: {reason}." for reason in self.full.warnings]
        if self.full.guided and self.posterior.num_samples > 1:
            found.append(
                "The samples were drawn with guidance, which sharpens: probabilities are too near "
                "0 and 1. The preset 'faithful' draws without."
            )
        if self.num_edits:
            several = self.num_edits > 1
            found.append(
                f"{self.num_edits} edit{'s' if several else ''} {'are' if several else 'is'} in "
                "force, and all samples are drawn to go with what you said."
            )
        return found

    def _map(self, sample: int | None) -> np.ndarray:
        if sample is None:
            return self.label_map
        if sample not in self.kept:
            raise InputError(f"sample {sample} is not among those that are left; choose another")
        return self.posterior.label_maps[sample].astype(np.int32)

    @functools.cached_property
    def _thumbnails(self) -> dict[int | None, str]:
        """Those that were made."""
        return {}

    def _thumbnail(self, sample: int | None) -> str:
        if sample not in self._thumbnails:
            self._thumbnails[sample] = self._small_overlay(self._map(sample))
        return self._thumbnails[sample]

    def _small_overlay(self, label_map: np.ndarray) -> str:
        height, width = label_map.shape
        shape = transforms.resized_shape(height, width, min(_THUMBNAIL, max(height, width)))
        labels = transforms.resize_labels(label_map, shape, "majority")
        image = transforms.resize_image(self.small.image, shape)
        return data_uris.jpeg(outputs.overlay(image, labels))

    def _check(self, *points: Point) -> None:
        height, width = self.small.shape
        for row, column in points:
            if not (0 <= row < height and 0 <= column < width):
                raise InputError(
                    f"the point ({row}, {column}) lies outside of the image; click inside of it"
                )
