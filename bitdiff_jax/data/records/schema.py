"""One record: a picture and all its label maps, as a serialised tf.train.Example.

    name    the picture's name
    image   JPEG (quality 95, colour at full resolution) or PNG
    labels  a PNG for each annotator, id k stored as k + 1 and ignored pixels as 0: grey of 8 or 16
            bits, or RGB (id + 1 = R + 256 G + 65536 B), or RGBA (... + 2^24 A), as the ids need
    height, width   of the original picture, before it was shrunk
    sha256  of the original pixels and ids, in hexadecimal; see `content_hash`

No TensorFlow takes part: the features are plain bytes to tfds.
"""

import functools
import hashlib
import io
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError

VERSION: Final = 1
ImageFormat = Literal["jpeg", "png"]

_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_JPEG_MAX_SIDE = 65_500
# What Pillow's decoders raise on broken bytes, besides OSError.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError,
    Image.DecompressionBombError,
)  # fmt: skip


@functools.cache
def features() -> Any:
    """The `tfds.features.FeaturesDict` of a record."""
    import tensorflow_datasets as tfds  # takes a second or two

    text, data = tfds.features.Text(), tfds.features.Scalar(np.object_)
    number = tfds.features.Scalar(np.int32)
    return tfds.features.FeaturesDict(
        {
            "name": text,
            "image": data,
            "labels": tfds.features.Sequence(data),
            "height": number,
            "width": number,
            "sha256": text,
        }
    )


def check(item: dict[str, Any]) -> None:
    """Raises InputError unless an item of a reader has the form that the interface asks for."""
    name, image, labels = item["name"], item["image"], item["labels"]
    if not (image.ndim == 3 and image.shape[2] == 3 and image.size and image.dtype == np.uint8):
        raise InputError(f"{name}: the picture is {image.dtype} {image.shape}, not uint8 [h, w, 3]")
    if not labels:
        raise InputError(f"{name}: has no label map; give it one or leave the picture out")
    for ids in labels:
        if ids.shape != image.shape[:2] or ids.dtype != np.int32 or ids.min() < transforms.IGNORE:
            raise InputError(
                f"{name}: a label map is {ids.dtype} {ids.shape} from {ids.min()}; it must be "
                f"int32 {image.shape[:2]}, ids from 0 and -1 for ignored pixels"
            )


def shrink(item: dict[str, Any], size: int) -> dict[str, Any]:
    """Brings the longest side to `size`, if it is longer: pictures by area, labels by majority.

    Args:
        item: of a reader.
        size: the side; 0 keeps every size.
    """
    image = item["image"]
    height, width = image.shape[:2]
    if not size or max(height, width) <= size:
        return item
    shape = transforms.resized_shape(height, width, size)
    maps = tuple(transforms.resize_labels(ids, shape, "majority") for ids in item["labels"])
    return {**item, "image": transforms.resize_image(image, shape), "labels": maps}


def content_hash(item: dict[str, Any]) -> str:
    """SHA-256 of height, width and each array's bytes, ids as little-endian int32."""
    image = item["image"]
    digest = hashlib.sha256(f"{image.shape[0]} {image.shape[1]}\n".encode())
    for array in (image, *(ids.astype("<i4", copy=False) for ids in item["labels"])):
        digest.update(array.tobytes())
    return digest.hexdigest()


def encode(
    item: dict[str, Any], *, original: dict[str, Any] | None = None, image_format: ImageFormat
) -> bytes:
    """An item as a record: the same bytes for the same item.

    Args:
        item: as `check` accepts it, perhaps shrunk.
        original: the item before it was shrunk; None: the same.
        image_format: how the picture is kept; label maps are lossless in either.

    Raises:
        InputError: a side is beyond what JPEG can hold.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    original = original or item
    height, width = original["image"].shape[:2]
    example = tf_example_pb2.Example()
    feature = example.features.feature
    feature["name"].bytes_list.value.append(item["name"].encode())
    feature["image"].bytes_list.value.append(_encode_image(item, image_format))
    feature["labels"].bytes_list.value.extend(encode_ids(ids) for ids in item["labels"])
    feature["height"].int64_list.value.append(height)
    feature["width"].int64_list.value.append(width)
    feature["sha256"].bytes_list.value.append(content_hash(original).encode())
    # A map's entries have no order of their own.
    return example.SerializeToString(deterministic=True)


def decode(record: bytes) -> dict[str, Any]:
    """A record as an item of a reader, with 'height', 'width' and 'sha256' besides.

    Raises:
        InputError: not a record, or damaged.
    """
    try:
        example = features().deserialize_example_np(record)
        name, data, maps = example["name"], example["image"], example["labels"]
        return {
            "name": name.decode(),
            "image": np.array(_open(data).convert("RGB")),
            "labels": tuple(decode_ids(ids) for ids in maps),
            "height": int(example["height"]),
            "width": int(example["width"]),
            "sha256": example["sha256"].decode(),
        }
    # The parser of the message has errors of its own, according to its implementation.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"not a record of a picture ({reason}); prepare the set again") from None


def encode_ids(ids: np.ndarray) -> bytes:
    """A label map, int32 [h, w] with ids from -1, as PNG; see the head of this file."""
    stored = (ids.astype(np.int64) + 1).astype(np.uint32)
    high = int(stored.max())
    if high < 2**8:
        pixels = stored.astype(np.uint8)
    elif high < 2**16:
        pixels = stored.astype(np.uint16)
    else:
        channels = 3 if high < 2**24 else 4
        pixels = np.ascontiguousarray(stored.astype("<u4")).view(np.uint8)
        pixels = np.ascontiguousarray(pixels.reshape(*ids.shape, 4)[..., :channels])
    return _save(pixels, format="PNG")


def decode_ids(data: bytes) -> np.ndarray:
    """The label map that `encode_ids` was given.

    Raises:
        InputError: not a PNG, or damaged.
    """
    pixels = np.asarray(_open(data))
    if pixels.ndim == 3:
        stored = np.zeros((*pixels.shape[:2], 4), np.uint8)
        stored[..., : pixels.shape[2]] = pixels
        # The largest, 2^31, wraps to -2^31, and one less than that wraps back.
        pixels = stored.view("<u4")[..., 0]
    return pixels.astype(np.int32) - np.int32(1)


def _encode_image(item: dict[str, Any], image_format: ImageFormat) -> bytes:
    image = item["image"]
    if image_format == "png":
        return _save(image, format="PNG")
    if max(image.shape) > _JPEG_MAX_SIDE:
        raise InputError(
            f"{item['name']}: {image.shape[1]}x{image.shape[0]} is more than JPEG can hold "
            f"({_JPEG_MAX_SIDE}); give a --size, or --image_format png"
        )
    return _save(image, **_JPEG)


def _save(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **options)
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        picture.load()
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"a picture in it is damaged ({reason})") from None
    return picture
