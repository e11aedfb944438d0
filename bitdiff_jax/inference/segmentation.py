"""What segmenting one picture gives."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from etils import epath
from numpy.typing import ArrayLike

from bitdiff_jax import files
from bitdiff_jax.data import transforms
from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import (
    clicked,
    consensus_codes,
    held_maps,
    imposed,
    lab,
    sample_statistics,
    specks,
    trust,
    upsampling,
)
from bitdiff_jax.inference import formats as formats_lib
from bitdiff_jax.inference import region_table as regions_lib
from bitdiff_jax.inference.encoded_image import EncodedImage
from bitdiff_jax.inference.formats import detections
from bitdiff_jax.posterior import Appearance, Mode, Posterior
from bitdiff_jax.posterior import agreement as agreement_lib
from bitdiff_jax.posterior.consensus import APPEARANCE, check_criterion
from bitdiff_jax.posterior.constraints import Pairs
from bitdiff_jax.posterior.likeness import Likeness

if TYPE_CHECKING:
    import supervision

# Regions of samples are counted and measured at so many times the network's resolution, which takes
# one step of `upsampling.refine`: to bring every sample of a photo of twelve megapixels to its size
# would take longer than to draw it.
_SMALL = 3
# With fewer samples left, `given` draws anew.
MIN_SAMPLES_LEFT = 8
# More codes than there are points to hold apart.
_ANY_NUMBER = 1 << 30


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """The label maps that were drawn for one picture, and what they say together.

    What is drawn has the network's resolution and is brought to the picture's own size when it is
    asked for: label maps as `edges` says, all else as `data.labelmaps.at_centres` does.

    Attributes:
        image: uint8 [h, w, 3], the picture as RGB, upright.
        codes: int32 [num_samples, h', w'], the maps as drawn; each distinct code is one region.
        certainty: float32 [num_samples, h', w'], as drawn; see `confidence`.
        seed: with which they were drawn.
        name: of the picture; '' if it has none.
        num_codes: codes that the model has for regions; None if that is not known.
        min_area: smaller pieces are left out of everything but `codes`; see `specks.threshold`.
        edges: how label maps get the picture's size: 'image' lets the edges of regions follow the
            picture, see `upsampling.refine`; 'nearest' repeats the pixels as drawn, so that edges
            are no finer than `resolution`.
        has_background: the model knows a background: it is code 0, and id 0 of every label map.
        drawn: what the codes were read from, by which specks go to the region that they are most
            like; None if that is not known.
        guided: they were drawn with guidance, see `Posterior.guided`.
        criterion: by which one map is found for all samples, a key of
            `posterior.consensus.CRITERIA` or, with `encoded`, 'appearance'; None for the default
            of the number of different ones.
        file: from which the picture was read, for formats that name it; '' if there is none.
        held: what all samples were told to hold, which their label maps and the consensus do at
            every pixel; None for free samples.
        redraw: function of constraints that draws as many samples anew; None if the segmenter that
            drew these is not known. `given` calls it.
        encoded: what the model's encoder makes of the picture; None without an encoder.
        clicks: points of a region that all samples together show as one, see `region`: it is a
            region of `label_map()`, and the samples are as they are. None for none.
        likeness: what the criterion 'appearance' was fitted to, see `Segmenter.like`; None for the
            package's own coefficients.
    """

    image: np.ndarray
    codes: np.ndarray
    certainty: np.ndarray
    seed: int
    name: str = ""
    num_codes: int | None = None
    min_area: specks.Area = specks.DEFAULT
    edges: str = upsampling.EDGES[0]
    has_background: bool = False
    drawn: specks.Evidence | None = None
    guided: bool = False
    criterion: str | None = None
    file: str = ""
    held: imposed.Imposed | None = None
    redraw: "Callable[[imposed.Constraints], Segmentation] | None" = None
    encoded: EncodedImage | None = None
    clicks: clicked.Clicks | None = None
    likeness: Likeness | None = None

    def __post_init__(self) -> None:
        upsampling.check_edges(self.edges)
        if self.criterion is not None:
            check_criterion(self.criterion, also=(APPEARANCE,))
        if self.criterion == APPEARANCE and self.encoded is None:
            raise InputError(
                f"criterion is {APPEARANCE!r}, which asks for an encoder's features of the image, "
                "and the model that drew this has no encoder; use vi"
            )

    @property
    def num_samples(self) -> int:
        """Label maps drawn."""
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the picture and of everything given at its own size."""
        height, width = self.image.shape[:2]
        return height, width

    @property
    def resolution(self) -> tuple[int, int]:
        """(h', w') at which the maps were drawn."""
        _, height, width = self.codes.shape
        return height, width

    @functools.cached_property
    def maps(self) -> np.ndarray:
        """int32 [num_samples, h', w'], `codes` without specks: pieces smaller than `min_area`.

        Raises:
            InputError: `min_area` is not an area, see `specks.threshold`.
        """
        cleaned = specks.clean(self.codes, self.min_area, self.shape, self.drawn)
        if self.held is None:
            return cleaned
        held = self.held.on_cells()
        return np.where(held < 0, cleaned, held)

    @functools.cached_property
    def label_maps(self) -> np.ndarray:
        """int32 [num_samples, h, w]; see `label_map`.

        Regions have the ids 1..n of their own map: the same id in two samples need not be the same
        region.
        """
        return np.stack([self.label_map(sample) for sample in range(self.num_samples)])

    @functools.cached_property
    def confidence(self) -> np.ndarray:
        """float32 [num_samples, h, w]: how clearly each sample decided for its code, in (0, 1].

        The product over the bits of (1 + |bit|) / 2. It is the certainty *within* one sample, and
        not the probability that the sample is right: a sample is usually sure of itself and the
        next one may differ. `agreement` compares samples.
        """
        return at_centres(self.certainty, self.shape)

    @functools.cached_property
    def agreement(self) -> np.ndarray | None:
        """float32 [h, w]: how much the samples agree on the region that each pixel lies in.

        See `posterior.agreement.agreement`; computed on `maps`. None for one sample.
        """
        drawn = self._agreement_as_drawn
        return None if drawn is None else at_centres(drawn, self.shape)

    @functools.cached_property
    def medoid(self) -> int:
        """The sample closest to all the others, see `posterior.agreement.medoid`."""
        return agreement_lib.medoid(self.maps)

    @functools.cached_property
    def appearance(self) -> Appearance | None:
        """What the picture looks like, at the resolution of the maps as drawn.

        None without an encoder, whose features are a part of it.
        """
        if self.encoded is None:
            return None
        small = transforms.resize_image(self.image, self.resolution)
        looks = Appearance(lab.from_rgb(small), self.encoded.pixels(*self.resolution))
        return looks if self.likeness is None else self.likeness.applied(looks)

    @functools.cached_property
    def posterior(self) -> Posterior:
        """The samples at the picture's own size as a distribution over partitions.

        It answers questions about points, areas and lengths in the picture's pixels. Its regions
        are those of `label_maps`; the background, if there is one, is a region like the others.
        Its `consensus` is found on these maps and keeps regions of any size; `label_map` is found
        on the maps as drawn, in a fraction of the time, and has no specks.
        """
        return Posterior.from_maps(self.label_maps, guided=self.guided, appearance=self.appearance)

    def modes(self, k: int = 3) -> list[Mode]:
        """The k most different answers of the samples, each with its probability.

        As `Posterior.modes`, which is asked for the maps as drawn; label maps are those of
        `label_map(mode.medoid)`.

        Args:
            k: modes wanted, >= 1. There are fewer if fewer samples differ.

        Raises:
            InputError: k is not an integer >= 1.
        """
        if k not in self._found_modes:
            self._found_modes[k] = self._as_drawn.modes(k)
        found = self._found_modes[k]
        return [dataclasses.replace(each, label_map=self.label_map(each.medoid)) for each in found]

    @functools.cached_property
    def clicked_region(self) -> np.ndarray | None:
        """bool [h, w]: the region of `clicks`; None without any."""
        return None if self.clicks is None else self.region(*self.clicks)

    @functools.cached_property
    def boundary_probability(self) -> np.ndarray | None:
        """float32 [h, w]: that of `posterior`, found without its atoms; None for one sample."""
        return None if self.num_samples == 1 else sample_statistics.boundary_share(self._samples())

    @functools.cached_property
    def num_regions_interval(self) -> tuple[int, int] | None:
        """(low, high), the central 90 % interval of the number of regions in a sample.

        Without the background, if there is one. None for one sample. Samples of a large picture are
        counted on a small copy of it, see `region_table.Region.area_interval`.
        """
        if self.num_samples == 1:
            return None
        # What is held may be smaller than a pixel of the smaller copy.
        counted = self._small if self.held is None else self
        return sample_statistics.count_interval(counted._samples())

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """Why the result is not to be trusted, a line each; see `inference.trust`."""
        return trust.warnings(
            self.maps, self.certainty, self.agreement, self.num_codes, self.guided
        )

    def without_specks(self, min_area: specks.Area) -> "Segmentation":
        """The same with another `min_area`; 0 is the maps as they were drawn.

        Args:
            min_area: pixels of the image at its own size, or a share of it such as '0.1%', see
                `inference.specks.threshold`.

        Raises:
            InputError: it is neither, or negative.
        """
        specks.threshold(min_area, self.shape, self.resolution)
        return dataclasses.replace(self, min_area=min_area)

    def like(self, likeness: Likeness) -> "Segmentation":
        """The result as labelled examples like it say, see `Segmenter.like`.

        Raises:
            InputError: the model that drew this has no encoder, and the likeness is adopted.
        """
        return dataclasses.replace(self, criterion=likeness.criterion, likeness=likeness)

    def given(self, same: Pairs = (), different: Pairs = ()) -> "Segmentation":
        """The result once some pairs of points are known to lie together or apart.

        The samples that meet the constraints, if there are eight or more: they are draws of the
        model's distribution given the constraints. Otherwise as many samples as there are here are
        drawn anew, with the constraints imposed, which is an approximation (docs/prompts.md).

        Args:
            same: pairs (p, q) of points (row, column) of the image that lie in one region.
            different: pairs that lie in two.

        Raises:
            InputError: constraints that contradict each other or what the samples hold already, a
                point that is none; or fewer than eight samples meet them, and the segmenter that
                drew them is not known.
        """
        constraints = imposed.Constraints(same=same, different=different)
        if not constraints:
            return self
        groups = imposed.groups_of(
            constraints, self.shape, self.resolution, self.num_codes or _ANY_NUMBER
        )
        kept = np.flatnonzero([held_maps.holds(each, groups) for each in self._samples()])
        if len(kept) < MIN_SAMPLES_LEFT:
            if self.redraw is None:
                raise InputError(
                    f"{len(kept)} of {self.num_samples} samples meet the constraints, fewer than "
                    f"{MIN_SAMPLES_LEFT}; draw more, or draw with a segmenter"
                )
            return self.redraw(constraints)
        return self.of_samples(kept)

    def region(self, inside: ArrayLike, outside: ArrayLike = ()) -> np.ndarray:
        """The region that points mean, as all samples together have it.

        What more than half of the samples join with a point inside, and more of them than with one
        outside (`posterior.clicked.belief`), found on a copy of the picture that is no larger than
        three times the maps as drawn. Nothing is drawn for it, so that more points cost nothing.
        Draw 16 samples at temperature 1 and guidance 0 for it: what is not in them, no
        point can bring out.

        Args:
            inside: (row, column) of a point in the region, or several, integers [n, 2].
            outside: points out of it, likewise.

        Returns:
            bool [h, w]; it holds all points inside and none outside.

        Raises:
            InputError: a point is none, lies outside of the picture, or is both inside and outside;
                none is inside; or two are too near to each other to be told apart.
        """
        clicks = clicked.Clicks.on(inside, outside, self.shape)
        return clicked.mask_of(self._small.posterior, clicks, self.image, self.edges)

    def of_samples(self, samples: np.ndarray) -> "Segmentation":
        """The result of some of its samples.

        Args:
            samples: their indices, integers [m], m >= 1.
        """
        drawn = self.drawn
        return dataclasses.replace(
            self,
            codes=self.codes[samples],
            certainty=self.certainty[samples],
            drawn=None if drawn is None else dataclasses.replace(drawn, x0=drawn.x0[samples]),
            held=None if self.held is None else self.held.taken(samples),
        )

    def with_mirrored(self, mirrored: "Segmentation") -> "Segmentation":
        """The result of these samples and of those of the mirrored image, mirrored back.

        A network sees the mirrored image with other eyes, so that half of the samples of each give
        a better consensus than all of one (docs/posterior.md). It cannot be drawn anew: `given`
        keeps to the samples that are there.

        Args:
            mirrored: what the same model drew of `image[:, ::-1]`, without constraints.

        Raises:
            InputError: it is of another image, or of maps of another size; or either of the two
                holds constraints.
        """
        if not np.array_equal(mirrored.image, self.image[:, ::-1]):
            raise InputError(
                "mirrored is of another image; give what was drawn of image[:, ::-1], left and "
                "right exchanged"
            )
        if mirrored.resolution != self.resolution:
            raise InputError(
                f"mirrored has maps of {mirrored.resolution}, and these have {self.resolution}; "
                "draw both with one model"
            )
        if self.held is not None or mirrored.held is not None:
            raise InputError(
                "mirrored: samples that hold constraints name regions each in their own way; draw "
                "both without keep, same and different"
            )
        drawn = None
        if self.drawn is not None and mirrored.drawn is not None:
            back = np.concatenate([self.drawn.x0, mirrored.drawn.x0[:, :, ::-1]])
            drawn = dataclasses.replace(self.drawn, x0=back)
        return dataclasses.replace(
            self,
            codes=np.concatenate([self.codes, mirrored.codes[:, :, ::-1]]),
            certainty=np.concatenate([self.certainty, mirrored.certainty[:, :, ::-1]]),
            drawn=drawn,
            guided=self.guided or mirrored.guided,
            redraw=None,
        )

    def save(
        self,
        folder: epath.PathLike,
        formats: "Sequence[str | formats_lib.Format]" = formats_lib.DEFAULT,
        *,
        name: str | None = None,
    ) -> None:
        """Writes files into a folder, which is made if need be.

        Args:
            folder: where to.
            formats: keys of `inference.formats.FORMATS`, references `package.module:name`, or
                functions `write(segmentation, folder, name)`.
            name: with which the files' names begin; the name of the image by default,
                'image' if it has none.

        Raises:
            InputError: a format is not known or fails, or the folder cannot be made.
        """
        chosen = formats_lib.open_formats(formats)
        name = (self.name or "image") if name is None else name
        formats_lib.write(self, files.make_folder(folder, "folder"), name, chosen)

    def label_map(self, sample: int | None = None) -> np.ndarray:
        """int32 [h, w], one map at the picture's own size.

        Every pixel belongs to exactly one region; ids are 1..n, the largest region first. With
        `has_background` these are the objects, and 0 is the background.

        Args:
            sample: its index; None for one map for all samples: their consensus by `criterion`,
                found on the maps as drawn, in which the region of `clicks` is one. By default that
                is the `medoid` where there are one or two different maps, see
                `posterior.consensus.default_criterion`.

        Raises:
            InputError: there is no such sample.
        """
        of = self.medoid if sample is None and self._criterion == "medoid" else sample
        if of is not None and not 0 <= of < self.num_samples:
            raise InputError(f"sample is {sample}; there are 0 to {self.num_samples - 1}")
        clicked_region = self.clicked_region if sample is None else None
        key = of if clicked_region is None else None
        if key not in self._kept:
            codes, certainty = self._drawn_map(of)
            labels = self._at_own_size(codes, certainty)
            if clicked_region is not None:
                labels = np.where(clicked_region, labels.max() + 1, labels)
            if self.held is not None:
                groups = self.held.groups
                wanted = (
                    held_maps.wanted_labels(codes, groups) if of is None else self.held.codes[of]
                )
                labels = held_maps.hold(labels, groups.pixels, wanted)
            labels = regions_lib.number(labels, self.has_background)
            # Of many samples of a large picture, ids of four bytes would fill the memory.
            self._kept[key] = labels.astype(np.min_scalar_type(labels.max()))
        return self._kept[key].astype(np.int32)

    def regions(self, sample: int | None = None) -> list[regions_lib.Region]:
        """The regions of `label_map(sample)` but the background, measured."""
        if sample not in self._measured:
            self._measured[sample] = self._measure(sample)
        return list(self._measured[sample])

    def to_supervision(self, sample: int | None = None) -> "supervision.Detections":
        """The regions as `supervision.Detections`, see `formats.detections.to_supervision`.

        Args:
            sample: whose regions, see `label_map`.

        Raises:
            InputError: supervision is not installed, the masks would not fit in memory, or there is
                no such sample.
        """
        return detections.to_supervision(self, sample)

    @functools.cached_property
    def _kept(self) -> dict[int | None, np.ndarray]:
        """The label maps that were asked for: formats and tables ask for the same ones."""
        return {}

    @functools.cached_property
    def _measured(self) -> dict[int | None, list[regions_lib.Region]]:
        """The regions that were asked for."""
        return {}

    @functools.cached_property
    def _found_modes(self) -> dict[int, list[Mode]]:
        """The modes by their number: a format and a table ask for the same ones."""
        return {}

    @functools.cached_property
    def _small(self) -> "Segmentation":
        """The same of a copy of the picture that is no larger than numbers of regions need."""
        size = _SMALL * max(self.resolution)
        if max(self.shape) <= size:
            return self
        smallest = specks.threshold(self.min_area, self.shape, self.resolution)
        shape = transforms.resized_shape(*self.shape, size)
        return dataclasses.replace(
            self,
            image=transforms.resize_image(self.image, shape),
            codes=self.maps,
            drawn=None,
            min_area=f"{smallest} drawn",
            held=None,  # it is of pixels of the image's own size
        )

    def _measure(self, sample: int | None) -> list[regions_lib.Region]:
        label_map = self.label_map(sample)
        found = regions_lib.measure(label_map, self.image, self.agreement)
        if self.num_samples == 1:
            return found
        small = self._small
        scale = label_map.size / small.image[..., 0].size
        shrunk = at_centres(label_map, small.shape)
        intervals = sample_statistics.area_intervals(shrunk, small._samples(), scale, len(found))
        return [
            dataclasses.replace(region, area_interval=interval)
            for region, interval in zip(found, intervals, strict=True)
        ]

    def _samples(self) -> Iterator[np.ndarray]:
        """The label map of each sample."""
        return map(self.label_map, range(self.num_samples))

    @functools.cached_property
    def _as_drawn(self) -> Posterior:
        """The posterior of `maps`."""
        return Posterior.from_maps(self.maps, guided=self.guided, appearance=self.appearance)

    @functools.cached_property
    def _agreement_as_drawn(self) -> np.ndarray | None:
        return agreement_lib.agreement(self.maps)

    @functools.cached_property
    def _criterion(self) -> str:
        return consensus_codes.criterion_for(self._as_drawn, self.criterion)

    def _drawn_map(self, sample: int | None) -> tuple[np.ndarray, np.ndarray]:
        """A sample or the consensus as drawn without specks, and how certain each pixel is."""
        if sample is not None:
            return self.maps[sample], self.certainty[sample]
        smallest = specks.threshold(self.min_area, self.shape, self.resolution)
        codes = consensus_codes.consensus_codes(
            self._as_drawn, self.maps, self._criterion, smallest, self.has_background
        )
        assert self._agreement_as_drawn is not None  # of a single sample there is no consensus
        return codes, self._agreement_as_drawn

    def _at_own_size(self, codes: np.ndarray, certainty: np.ndarray) -> np.ndarray:
        if self.edges == "nearest":
            return at_centres(codes, self.shape)
        return upsampling.at_image_size(codes, certainty, self.image, self.min_area)
