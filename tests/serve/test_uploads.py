import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import uploads
from bitdiff_jax.serve.limits import Limits

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)  # the begin of one
LIMITS = Limits(max_bytes=100_000, max_pixels=10_000)


def huge_png(width, height):
    """A PNG that says it is huge and holds nothing: decoding it would be seen."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def refused(path, name="my file.png", limits=LIMITS):
    with pytest.raises(InputError) as caught:
        uploads.read(path, name, limits)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(name) and str(path) not in message
    assert "tmp" not in message  # no place on the server
    return message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n<<>>\nendobj\n",
            "(it is a PDF); convert it to PNG or JPEG",
        ),
        (HEIC, "(it is HEIC, as phones save photos); convert it to PNG or JPEG"),
        (b"", "the file is empty"),
        (huge_png(20_000, 15_000), "20000 x 15000 pixels are more than the 0 megapixels"),
        (huge_png(200_000, 200_000), "200000 x 200000 pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS files are not"),
        (b"GIF89a", "convert it to PNG or JPEG"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(data, says, tmp_path):
    path = tmp_path / "0123456789abcdef"
    path.write_bytes(data)
    assert says in refused(path)


def test_a_truncated_file_is_named_as_such(photo):
    photo.write_bytes(photo.read_bytes()[:-400])
    assert "damaged or cut short" in refused(photo, "holiday.png")


def test_too_many_bytes_are_refused_before_a_look_at_them(tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(bytes(100_001))
    assert "0.1 MB is more than" in refused(path)


def test_a_file_that_is_gone_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"x\.png: is not kept any more .*; send it again$"):
        uploads.check(tmp_path / "gone", "x.png", Limits())


def test_an_image_is_read_as_everywhere(photo):
    with Image.open(photo) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(uploads.read(photo, "x.png", LIMITS), expected)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\été 1.png", "été 1.png"),
        ("a\x00b\n.png", "ab.png"),
        ("", "image"),
        ("x" * 300 + ".jpeg", "x" * 80 + ".jpeg"),
    ],
)
def test_names_are_plain(name, plain):
    assert uploads.plain_name(name) == plain
