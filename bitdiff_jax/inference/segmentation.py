"""What segmenting one picture gives."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats as formats_lib
from bitdiff_jax.inference import region_table as regions_lib
from bitdiff_jax.inference import specks, trust, upsampling
from bitdiff_jax.posterior import agreement as agreement_lib


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

    def __post_init__(self) -> None:
        upsampling.check_edges(self.edges)

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
        return specks.clean(self.codes, self.min_area, self.shape, self.drawn)

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
        drawn = agreement_lib.agreement(self.maps)
        return None if drawn is None else at_centres(drawn, self.shape)

    @functools.cached_property
    def medoid(self) -> int:
        """The sample closest to all the others, see `posterior.agreement.medoid`."""
        return agreement_lib.medoid(self.maps)

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """Why the result is not to be trusted, a line each; see `inference.trust`."""
        return trust.warnings(self.maps, self.certainty, self.agreement, self.num_codes)

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
        """int32 [h, w], one sample at the picture's own size.

        Every pixel belongs to exactly one region; ids are 1..n, the largest region first. With
        `has_background` these are the objects, and 0 is the background.

        Args:
            sample: its index; None is the medoid.

        Raises:
            InputError: there is no such sample.
        """
        sample = self._index(sample)
        if sample not in self._kept:
            self._kept[sample] = self._at_own_size(sample)
        return self._kept[sample].copy()

    def regions(self, sample: int | None = None) -> list[regions_lib.Region]:
        """The regions of `label_map(sample)` but the background, measured; None is the medoid."""
        return regions_lib.measure(self.label_map(sample), self.image, self.agreement)

    @functools.cached_property
    def _kept(self) -> dict[int, np.ndarray]:
        """The label maps that were asked for: formats and tables ask for the same ones."""
        return {}

    def _at_own_size(self, sample: int) -> np.ndarray:
        codes = self.maps[sample]
        if self.edges == "nearest":
            labels = at_centres(codes, self.shape)
        else:
            labels = upsampling.at_image_size(
                codes, self.certainty[sample], self.image, self.min_area
            )
        return regions_lib.number(labels, self.has_background)

    def _index(self, sample: int | None) -> int:
        if sample is None:
            return self.medoid
        if not 0 <= sample < self.num_samples:
            raise InputError(f"sample is {sample}; there are 0 to {self.num_samples - 1}")
        return sample
