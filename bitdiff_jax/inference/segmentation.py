"""What segmenting one picture gives."""

import dataclasses
import functools

import numpy as np

from bitdiff_jax.data.labelmaps import at_centres
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import agreement as agreement_lib
from bitdiff_jax.inference import region_table as regions_lib
from bitdiff_jax.inference import specks


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """The label maps that were drawn for one picture, and what they say together.

    What is drawn has the network's resolution and is brought to the picture's own size when it is
    asked for, see `data.labelmaps.at_centres`: edges are no finer
    than `resolution` however large the picture.

    Attributes:
        image: uint8 [h, w, 3], the picture as RGB, upright.
        codes: int32 [num_samples, h', w'], the maps as drawn; each distinct code is one region.
        certainty: float32 [num_samples, h', w'], as drawn; see `confidence`.
        seed: with which they were drawn.
        name: of the picture; '' if it has none.
    """

    image: np.ndarray
    codes: np.ndarray
    certainty: np.ndarray
    seed: int
    name: str = ""

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

        See `inference.agreement.agreement`; computed on the maps as drawn. None for one sample.
        """
        drawn = agreement_lib.agreement(self.codes)
        return None if drawn is None else at_centres(drawn, self.shape)

    @functools.cached_property
    def medoid(self) -> int:
        """The sample closest to all the others, see `inference.agreement.medoid`."""
        return agreement_lib.medoid(self.codes)

    def without_specks(self, min_area: int) -> "Segmentation":
        """The same with every connected piece under `min_area` pixels given to what is nearest.

        Args:
            min_area: pixels *as drawn*, at `resolution`; see `inference.specks.remove`.

        Raises:
            InputError: it is negative.
        """
        codes = np.stack([specks.remove(each, min_area) for each in self.codes])
        return dataclasses.replace(self, codes=codes)

    def label_map(self, sample: int | None = None) -> np.ndarray:
        """int32 [h, w], one sample at the picture's own size.

        Every pixel belongs to exactly one region; ids are 1..n, the largest region first.

        Args:
            sample: its index; None is the medoid.

        Raises:
            InputError: there is no such sample.
        """
        return regions_lib.number(at_centres(self.codes[self._index(sample)], self.shape))

    def regions(self, sample: int | None = None) -> list[regions_lib.Region]:
        """The regions of `label_map(sample)`, measured; None is the medoid."""
        return regions_lib.measure(self.label_map(sample), self.image, self.agreement)

    def _index(self, sample: int | None) -> int:
        if sample is None:
            return self.medoid
        if not 0 <= sample < self.num_samples:
            raise InputError(f"sample is {sample}; there are 0 to {self.num_samples - 1}")
        return sample
