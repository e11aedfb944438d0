"""ImageJ's ROI manager: a zip file with an outline of each region."""

import dataclasses
import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.inference.formats import needed
from bitdiff_jax.inference.formats.outlines import TOLERANCE, Polygon, outlines

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

_MOVE, _LINE, _CLOSE = 0, 1, 4  # of java.awt.geom.PathIterator


def rois(
    segmentation: "Segmentation", tolerance: float = TOLERANCE, sample: int | None = None
) -> "list[Any]":
    """The regions but the background as `roifile.ImagejRoi`.

    A region with holes or in several pieces is one composite ROI, whose holes ImageJ leaves out.

    Args:
        segmentation: of one image.
        tolerance: of the outlines, see `outlines`.
        sample: whose regions, see `Segmentation.label_map`.

    Returns:
        One of each region, with the property 'agreement' if there are several samples.

    Raises:
        InputError: roifile is not installed, the tolerance is no tolerance, or there is no such
            sample.
    """
    roifile = needed.load("roifile", "imagej")
    polygons = outlines(segmentation.label_map(sample), tolerance)
    found = []
    for region in segmentation.regions(sample):
        roi = _roi(roifile, polygons[region.id], f"region-{region.id:04}")
        if region.agreement is not None:
            roi.props = f"agreement: {region.agreement:.4f}\n"
        found.append(roi)
    return found


def _roi(roifile: Any, polygons: list[Polygon], name: str) -> Any:
    rings = [ring for polygon in polygons for ring in polygon.rings]
    if len(rings) == 1:
        return roifile.ImagejRoi.frompoints(rings[0][:-1], name=name)
    path = np.concatenate([_path(ring) for ring in rings])
    points = np.concatenate(rings)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT,
        options=roifile.ROI_OPTIONS.OVERLAY_LABELS,
        name=name,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        shape_roi_size=len(path),
        multi_coordinates=path,
    )


def _path(ring: np.ndarray) -> np.ndarray:
    """A ring as ImageJ's path: its points, each after what is done there, and the end."""
    steps = np.insert(ring[:-1].astype(np.float32), 0, _LINE, axis=1)
    steps[0, 0] = _MOVE
    return np.append(steps.ravel(), np.float32(_CLOSE))


@dataclasses.dataclass(frozen=True)
class ImagejFormat:
    """NAME_rois.zip of each image, which ImageJ and Fiji open.

    Attributes:
        tolerance: of the outlines, pixels.
        suffixes: of the file's name.
    """

    tolerance: float = TOLERANCE
    suffixes: tuple[str, ...] = ("_rois.zip",)

    def check(self) -> None:
        """Raises InputError if roifile is not installed."""
        needed.load("roifile", "imagej")

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`.

        Raises:
            InputError: the place cannot be written, or as of `rois`.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for roi in rois(segmentation, self.tolerance):
                # Without the time of the day: the same maps are the same bytes.
                info = zipfile.ZipInfo(f"{roi.name}.roi")
                archive.writestr(info, roi.tobytes(), zipfile.ZIP_DEFLATED)
        files.write(folder / f"{name}{self.suffixes[0]}", buffer.getvalue())
