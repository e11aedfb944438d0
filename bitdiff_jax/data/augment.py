"""Random changes of a training picture and its label map, on the host, in numpy.

Everything is a function of (image, labels, rng): the same generator state gives the same result.
A region id means nothing but "same region", so geometry only moves ids or turns them into -1.
"""

import dataclasses
import math

import numpy as np
from PIL import Image

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.feature_grids import WHOLE, View

# Ids below are counted as they are; others are renumbered first.
_COUNTED_IDS = 1 << 12

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def flip(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirrors left and right."""
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])


def rotate(
    image: np.ndarray, labels: np.ndarray, degrees: float, label_fill: int
) -> tuple[np.ndarray, np.ndarray]:
    """Turns about the centre, counter-clockwise; the shape stays.

    The image is read bilinearly and filled with 0, labels from the nearest pixel and with
    `label_fill`.
    """
    turned = Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR)
    ids = Image.fromarray(labels.astype(np.int32))
    turned_ids = ids.rotate(degrees, Image.Resampling.NEAREST, fillcolor=label_fill)
    return np.asarray(turned), np.asarray(turned_ids)


def crop_box(
    height: int, width: int, min_side: float, rng: np.random.Generator
) -> tuple[slice, slice]:
    """A random rectangle whose sides are, each for itself, `min_side`..1 of the picture's."""
    slices = []
    for length in (height, width):
        side = max(1, round(length * rng.uniform(min_side, 1.0)))
        first = int(rng.integers(length - side + 1))
        slices.append(slice(first, first + side))
    return slices[0], slices[1]


def drop_slivers(
    resized: np.ndarray, labels: np.ndarray, box: tuple[slice, slice], min_pixels: float
) -> np.ndarray:
    """Ignores what a crop left of a region when it is too small to be told.

    Args:
        resized: integers [h, w], the crop at network resolution.
        labels: the whole map before it was cropped and resized; small ids >= 0, -1 = ignore.
        box: the crop, rows and columns of `labels` with a start and a stop.
        min_pixels: a region that the crop has cut and of which fewer pixels than this remain in
            `resized` becomes -1. Regions that lie wholly inside the crop stay, however small; so
            does a region that the crop cuts into several pieces with enough pixels between them.

    Returns:
        Integers [h, w] as `resized`.
    """
    count = int(labels.max()) + 2  # place 0 counts the ignored pixels
    left = np.bincount(resized.ravel() + 1, minlength=count)
    sliver = (left > 0) & (left < min_pixels)
    if not sliver.any():
        return resized
    rows, columns = box
    beyond = np.zeros(count, bool)
    for part in (
        labels[: rows.start],
        labels[rows.stop :],
        labels[rows, : columns.start],
        labels[rows, columns.stop :],
    ):
        beyond |= np.bincount(part.ravel() + 1, minlength=count) > 0
    sliver &= beyond
    if not sliver.any():
        return resized
    return np.where(sliver[resized + 1], transforms.IGNORE, resized).astype(resized.dtype)


def recolour(
    image: np.ndarray,
    *,
    gamma: float = 1.0,
    contrast: float = 1.0,
    brightness: float = 0.0,
    shift: np.ndarray | None = None,
    saturation: float = 1.0,
) -> np.ndarray:
    """Changes tones, in this order.

    v -> v^gamma, then contrast about mid-grey, then brightness and the shift of each channel (both
    as a part of full scale), clipped; then each pixel's distance from its grey times `saturation`.

    Args:
        image: uint8 [h, w, 3].
        gamma: exponent on values in 0..1; below 1 brightens.
        contrast: 1 keeps it, 0 makes everything mid-grey.
        brightness: added to all channels, in -1..1.
        shift: float [3] added to R, G, B, in -1..1.
        saturation: 1 keeps it, 0 makes the picture grey.

    Returns:
        uint8 [h, w, 3].
    """
    tone = (np.linspace(0, 1, 256) ** gamma - 0.5) * contrast + 0.5 + brightness
    table = tone[:, None] + (np.zeros(3) if shift is None else shift)
    table = np.rint(np.clip(table, 0, 1) * 255).astype(np.uint8)
    result = np.stack([table[:, c][image[..., c]] for c in range(3)], axis=-1)
    if saturation == 1.0:
        return result
    grey = result.astype(np.float32) @ _GREY
    mixed = grey[..., None] + saturation * (result - grey[..., None])
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The package's own augmentation; each change is drawn for itself with its probability.

    The crop is cut from the stored picture before it is resized, so a source kept a little larger
    than the network's size loses no sharpness and costs little. All else happens at network
    resolution.

    Attributes:
        flip: probability of mirroring.
        crop: probability of a crop; `min_side` is the least part of each side that it keeps.
        min_side: in (0, 1].
        stretch: largest change of the ratio of the sides: exp(uniform(-stretch, stretch)).
        sliver_share: what a crop leaves of a region is ignored if it has fewer pixels than this
            part of S * S, S the network's size: 16 at 128 pixels, 4 at 64; see `drop_slivers`. A
            region that is whole stays, however small.
        rotate: probability of a rotation by up to `degrees` either way, with -1 in the corners.
        degrees: in 0..180.
        colour: probability of a change of tone, and again of one of colour.
        strength: size of both: gamma and contrast change by up to this factor (log scale),
            brightness, and each channel's shift, by half and a fifth of it, saturation by it.
        grey: probability of a grey picture.
    """

    flip: float = 0.5
    crop: float = 0.8
    min_side: float = 0.6
    stretch: float = 0.15
    sliver_share: float = 1 / 1024
    rotate: float = 0.15
    degrees: float = 12.0
    colour: float = 0.5
    strength: float = 0.3
    grey: float = 0.05

    def __post_init__(self) -> None:
        """Checks ranges."""
        for name in ("flip", "crop", "rotate", "colour", "grey"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)} is a probability: use 0..1")
        if not 0 < self.min_side <= 1:
            raise InputError(f"min_side={self.min_side} is a part of a side: use 0 < min_side <= 1")
        if min(self.stretch, self.strength, self.degrees, self.sliver_share) < 0:
            raise InputError("stretch, strength, degrees and sliver_share must be at least 0")

    def __call__(
        self, image: np.ndarray, labels: np.ndarray, rng: np.random.Generator, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augments and resizes.

        Args:
            image: uint8 [h, w, 3].
            labels: int32 [h, w], -1 = ignore.
            rng: the only source of chance.
            size: the longest side of the result.

        Returns:
            uint8 [h', w', 3] and int32 [h', w'], max(h', w') = size; ids keep their numbers.
        """
        return self.with_view(image, labels, rng, size)[:2]

    def with_view(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        rng: np.random.Generator,
        size: int,
        image_scale: int = 1,
    ) -> tuple[np.ndarray, np.ndarray, View | None]:
        """As the call, and what the result shows of the image.

        Args:
            image: as the call.
            labels: as the call.
            rng: as the call.
            size: the longest side of the label map.
            image_scale: how many times larger the image is.

        Returns:
            uint8 [m * h', m * w', 3], int32 [h', w'] and the view; None for a rotated image, which
            is no rectangle of the other.
        """
        image, labels, view = self._crop_and_resize(image, labels, rng, size, image_scale)
        turned = False
        if rng.random() < self.flip:
            image, labels = flip(image, labels)
            view = View(view.top, view.bottom, 1 - view.right, 1 - view.left, True)
        if rng.random() < self.rotate:
            degrees = rng.uniform(-self.degrees, self.degrees)
            image, labels = rotate(image, labels, degrees, transforms.IGNORE)
            turned = True
        return self._recolour(image, rng), labels, None if turned else view

    def _crop_and_resize(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        rng: np.random.Generator,
        size: int,
        image_scale: int,
    ) -> tuple[np.ndarray, np.ndarray, View]:
        whole, regions = labels, None
        if labels.size and labels.max() >= _COUNTED_IDS:
            regions, whole = transforms.renumber(labels)
        box, view = None, WHOLE
        cropped = whole
        if rng.random() < self.crop:
            height, width = whole.shape
            box = crop_box(height, width, self.min_side, rng)
            image, cropped = image[box], whole[box]
            rows, columns = box
            view = View(
                rows.start / height, rows.stop / height, columns.start / width, columns.stop / width
            )
        height, width = cropped.shape
        # Only the ratio of the two counts; the larger scale keeps rounding to whole pixels fine.
        ratio = math.exp(rng.uniform(-self.stretch, self.stretch))
        shape = transforms.resized_shape(max(1, round(height * 64 * ratio)), width * 64, size)
        ids = transforms.resize_labels(cropped, shape, "majority")
        if box is not None:
            ids = drop_slivers(ids, whole, box, size * size * self.sliver_share)
        if regions is not None:
            ids = np.append(regions, transforms.IGNORE)[ids]
        larger = (shape[0] * image_scale, shape[1] * image_scale)
        return transforms.resize_image(image, larger), ids.astype(np.int32), view

    def _recolour(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        tone, colour = rng.random(2) < self.colour
        grey = rng.random() < self.grey
        gamma, contrast, brightness, saturation = rng.uniform(-self.strength, self.strength, 4)
        shift = rng.uniform(-self.strength, self.strength, 3) / 5
        if not (tone or colour or grey):
            return image
        return recolour(
            image,
            gamma=math.exp(gamma) if tone else 1.0,
            contrast=math.exp(contrast) if tone else 1.0,
            brightness=brightness / 2 if tone else 0.0,
            shift=shift if colour else None,
            saturation=0.0 if grey else (1.0 + saturation if colour else 1.0),
        )


# For features that were computed beforehand: what changes colours or turns an image would ask for
# others. Crops are larger changes instead.
GEOMETRY = Augmentation(crop=0.7, min_side=0.45, stretch=0.15, rotate=0.0, colour=0.0, grey=0.0)


def as_released(
    image: np.ndarray, labels: np.ndarray, rng: np.random.Generator, size: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The augmentation of the released recipe, at native resolution (`size` plays no part).

    In order, each for itself: flip (.5), gamma .8..1.2 (.3), brightness and contrast +-.2 (.3),
    hue, saturation, value +-20, 30, 20 of OpenCV's 180, 255, 255 (.3), shift of R, G, B by +-20
    (.1), rotation by +-20 degrees (.3), whose corners become 0 in the image and *region 0* in the
    labels.
    OpenCV's rounding in HSV is not reproduced.

    Args:
        image: uint8 [h, w, 3].
        labels: int32 [h, w].
        rng: the only source of chance.
        size: accepted for the common signature.

    Returns:
        uint8 [h, w, 3] and int32 [h, w].
    """
    del size
    if rng.random() < 0.5:
        image, labels = flip(image, labels)
    if rng.random() < 0.3:
        image = recolour(image, gamma=rng.uniform(0.8, 1.2))
    if rng.random() < 0.3:
        # value * contrast + brightness, about black and not about mid-grey.
        contrast, brightness = 1 + rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)
        offset = (contrast - 1) / 2 + brightness
        image = recolour(image, contrast=contrast, brightness=offset)
    if rng.random() < 0.3:
        image = _shift_hsv(image, rng.uniform(-1, 1, 3) * (20, 30, 20))
    if rng.random() < 0.1:
        image = recolour(image, shift=rng.uniform(-20, 20, 3) / 255)
    if rng.random() < 0.3:
        image, labels = rotate(image, labels, rng.uniform(-20, 20), 0)
    return image, labels


def _shift_hsv(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    hsv = np.asarray(Image.fromarray(image).convert("HSV")).astype(np.float32)
    # Pillow's hue runs to 256 where OpenCV's runs to 180; it is a circle, the others are not.
    hue = np.mod(np.rint(hsv[..., 0] + shift[0] * 256 / 180), 256)
    rest = np.rint(np.clip(hsv[..., 1:] + shift[1:], 0, 255))
    shifted = np.concatenate([hue[..., None], rest], axis=-1).astype(np.uint8)
    height, width = image.shape[:2]
    return np.asarray(Image.frombytes("HSV", (width, height), shifted.tobytes()).convert("RGB"))
