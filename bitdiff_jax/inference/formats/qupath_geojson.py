"""GeoJSON as QuPath imports it: each region as an object with polygons and measurements."""

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data.contact_sheet import NUM_COLOURS, region_colours
from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.inference.formats.outlines import TOLERANCE, Polygon, outlines
from bitdiff_jax.inference.region_table import Region

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

OBJECT_TYPES = ("annotation", "detection")
# Of the ids that objects get: the same region of the same image has the same one in each run.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://arxiv.org/abs/2601.02881")


def geometry(polygons: list[Polygon]) -> dict[str, Any]:
    """A GeoJSON geometry: a Polygon, or a MultiPolygon for a region in several pieces.

    Exteriors run counterclockwise and holes clockwise in coordinates taken as they are, as RFC 7946
    has it; on the screen, where y points down, it looks the other way round.
    """
    coordinates = [[ring.tolist() for ring in polygon.rings] for polygon in polygons]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def feature_collection(
    segmentation: "Segmentation",
    object_type: str = OBJECT_TYPES[0],
    tolerance: float = TOLERANCE,
    sample: int | None = None,
) -> dict[str, Any]:
    """The regions but the background as a GeoJSON FeatureCollection, in the image's own pixels.

    Args:
        segmentation: of one image.
        object_type: what they become in QuPath, 'annotation' or 'detection'.
        tolerance: of the outlines, see `outlines`.
        sample: whose regions, see `Segmentation.label_map`.

    Returns:
        What `json.dumps` writes. Each feature has 'measurements': area, pieces, mean colour and, of
        several samples, mean agreement and the interval of the area.

    Raises:
        InputError: the type is not known, the tolerance is no tolerance, or there is no such
            sample.
    """
    if object_type not in OBJECT_TYPES:
        raise InputError(
            f"object_type is {object_type!r}; use {' or '.join(OBJECT_TYPES)}"
            f"{did_you_mean(object_type, OBJECT_TYPES)}"
        )
    polygons = outlines(segmentation.label_map(sample), tolerance)
    colours = region_colours().tolist()
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": str(uuid.uuid5(_NAMESPACE, f"{segmentation.name}/{sample}/{region.id}")),
                "geometry": geometry(polygons[region.id]),
                "properties": {
                    "objectType": object_type,
                    "name": f"Region {region.id}",
                    "color": colours[(region.id - 1) % NUM_COLOURS],
                    "measurements": _measurements(region),
                },
            }
            for region in segmentation.regions(sample)
        ],
    }


def _measurements(region: Region) -> dict[str, float]:
    found: dict[str, float] = {"Area px": region.area, "Pieces": region.pieces}
    found |= dict(
        zip(
            ("Mean red", "Mean green", "Mean blue"),
            np.round(region.mean_color, 1).tolist(),
            strict=True,
        )
    )
    if region.agreement is not None:
        found["Agreement"] = round(region.agreement, 4)
    if region.area_interval is not None:
        found["Area low px"], found["Area high px"] = region.area_interval
    return found


@dataclasses.dataclass(frozen=True)
class GeoJsonFormat:
    """NAME_regions.geojson, or another name, of each image.

    Attributes:
        suffix: of the file's name.
        object_type: 'annotation' or 'detection'.
        tolerance: of the outlines, pixels.
    """

    suffix: str = "_regions.geojson"
    object_type: str = OBJECT_TYPES[0]
    tolerance: float = TOLERANCE

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The end of its file's name."""
        return (self.suffix,)

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`.

        Raises:
            InputError: the place cannot be written, or as of `feature_collection`.
        """
        found = feature_collection(segmentation, self.object_type, self.tolerance)
        files.write(folder / f"{name}{self.suffix}", json.dumps(found).encode())
