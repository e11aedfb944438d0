import io
import struct
import zlib

import numpy as np
import PIL
import pytest
from PIL import Image, TiffImagePlugin, features

from bitdiff_jax.data import image_files, images
from bitdiff_jax.errors import InputError


def gradient(height=6, width=9):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 20, x * 20, (x + y) * 10], axis=-1).astype(np.uint8)


def png(path, width, height, depth, colour_type, rows):
    """A PNG by hand, for packings that Pillow does not write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    content = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


def test_rgb_is_read_as_it_is(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    got = images.read_image(tmp_path / "a.png")
    assert got.dtype == np.uint8 and got.flags.writeable
    np.testing.assert_array_equal(got, gradient())
    np.testing.assert_array_equal(images.read_image(str(tmp_path / "a.png")), gradient())


@pytest.mark.parametrize("suffix", sorted(images.IMAGE_SUFFIXES))
def test_every_ending_of_an_image_is_read(tmp_path, suffix):
    Image.init()
    grey = np.full((16, 16), 255, np.uint8)  # which also a file of one bit holds
    picture = Image.fromarray(grey).convert("1" if suffix == ".pbm" else "RGB")
    picture.save(tmp_path / f"a{suffix}", format=Image.EXTENSION[suffix])
    read = images.read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read, np.repeat(grey[..., None], 3, axis=-1))


_YCBCR_IN_TIFF = pytest.param(
    "YCbCr",
    marks=pytest.mark.xfail(
        int(PIL.__version__.split(".")[0]) < 13,
        raises=InputError,
        reason="Pillow before 13 cannot read back the uncompressed YCbCr TIFF that it writes",
    ),
)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", _YCBCR_IN_TIFF])
def test_other_modes_look_the_same(tmp_path, mode):
    grey = np.zeros((4, 5, 3), np.uint8)
    grey[:2] = 255
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    Image.fromarray(grey).convert(mode).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(images.read_image(tmp_path / f"a.{suffix}"), grey)


def test_lab_is_converted_or_named(tmp_path):
    muted = gradient() // 2 + 60  # inside the gamut of 8-bit LAB
    Image.fromarray(muted).convert("LAB").save(tmp_path / "a.tif")
    try:
        got = images.read_image(tmp_path / "a.tif")
    except InputError as error:  # not every version of Pillow can
        assert "LAB" in str(error) and "\n" not in str(error)
    else:
        np.testing.assert_allclose(got, muted, atol=4)


def test_sixteen_bits_that_are_used_are_scaled_by_their_full_range(tmp_path):
    values = np.array([[0, 128, 129, 257, 32_768, 65_535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    got = images.read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(got, np.repeat([[[0], [0], [1], [1], [128], [255]]], 3, axis=-1))


@pytest.mark.parametrize("depth", [10, 12, 14])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_cameras_bits_are_scaled_by_their_own_range(tmp_path, depth, suffix):
    shades = np.arange(256).reshape(16, 16)
    top = (1 << depth) - 1
    values = np.rint(shades * (top / 255)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    got = images.read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(got, np.repeat(shades[..., None], 3, axis=-1))


def test_eight_bits_in_a_file_of_sixteen_stay_as_they_are(tmp_path):
    shades = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(shades).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.tif")[..., 0], shades)


def test_a_tiff_may_say_its_range(tmp_path):
    values = np.array([[0, 100, 1023]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo={281: 4095})
    assert images.read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 6, 64]
    # What the pixels contradict is not believed.
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo={281: 255})
    assert images.read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 25, 255]


def test_colour_of_sixteen_bits_that_would_be_black_is_refused(tmp_path):
    row = b"".join(value.to_bytes(2, "big") for value in (0, 4095, 17, 900, 0, 1))
    png(tmp_path / "a.png", 2, 1, 16, 2, [row])
    with pytest.raises(InputError) as error:
        images.read_image(tmp_path / "a.png")
    one_line(error, "a.png", "14 bits or fewer", "scale it")
    png(tmp_path / "b.png", 2, 1, 16, 2, [b"\xff\x00" * 6])
    assert (images.read_image(tmp_path / "b.png") == 255).all()


@pytest.mark.skipif(not features.check("avif"), reason="Pillow reads AVIF from 11.3 on")
def test_an_avif_is_read_as_an_image_and_refused_as_labels(tmp_path):
    assert ".avif" in images.IMAGE_SUFFIXES
    smooth = np.broadcast_to(np.uint8(4 * np.arange(60))[:, None], (40, 60, 3))
    Image.fromarray(smooth).save(tmp_path / "a.avif", quality=95)
    read = images.read_image(tmp_path / "a.avif")
    assert read.shape == smooth.shape and np.abs(read.astype(int) - smooth).mean() < 4
    Image.fromarray(smooth[..., 0]).save(tmp_path / "b.avif")
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / "b.avif")
    one_line(error, "b.avif", "AVIF")


def stack(path, *arrays, **options):
    first, *others = map(Image.fromarray, arrays)
    first.save(path, save_all=True, append_images=others, **options)


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_a_stack_of_pictures_is_refused_with_its_number_of_frames(tmp_path, suffix):
    frames = [np.full((8, 9), shade, np.uint8) for shade in (10, 90, 200)]
    stack(tmp_path / f"a.{suffix}", *frames)
    with pytest.raises(InputError) as error:
        images.read_image(tmp_path / f"a.{suffix}")
    one_line(error, f"a.{suffix}", "holds 3 frames", "as a file of its own")


def test_smaller_versions_in_the_same_file_are_no_frames(tmp_path):
    stack(tmp_path / "a.tif", gradient(), gradient(3, 4))
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.tif"), gradient())
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "b.tif", new=True) as file:
        for image, subfile_type in ((gradient(), 0), (gradient() // 2, 1)):
            Image.fromarray(image).save(file, format="TIFF", tiffinfo={254: subfile_type})
            file.newFrame()
    np.testing.assert_array_equal(images.read_image(tmp_path / "b.tif"), gradient())
    stack(tmp_path / "c.jpg", gradient(), gradient(3, 4), format="MPO")  # a phone's preview
    assert images.read_image(tmp_path / "c.jpg").shape == (6, 9, 3)


def test_a_stack_of_imagej_in_one_page_is_refused(tmp_path):
    text = "ImageJ=1.53t\nimages=40\nslices=40\n"
    Image.fromarray(gradient()[..., 0]).save(tmp_path / "a.tif", tiffinfo={270: text})
    for read in (images.read_image, images.read_labels):
        with pytest.raises(InputError) as error:
            read(tmp_path / "a.tif")
        one_line(error, "a.tif", "40 frames")


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_stack_of_label_maps_is_refused_or_read_whole(tmp_path, suffix):
    maps = [np.array([[0, 1], [k, 9]], np.uint8) for k in range(2, 6)]
    stack(tmp_path / f"a.{suffix}", *maps)
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / f"a.{suffix}")
    one_line(error, f"a.{suffix}", "holds 4 frames", "masks")
    for got, expected in zip(images.read_label_frames(tmp_path / f"a.{suffix}"), maps, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_grey_beyond_sixteen_bits_and_floats_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 70_000]], np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError) as error:
        images.read_image(tmp_path / "a.tif")
    one_line(error, "a.tif", "70000", "16 bits")
    Image.fromarray(np.array([[0, 0.5]], np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(InputError) as error:
        images.read_image(tmp_path / "b.tif")
    one_line(error, "b.tif", "floating-point")


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.array([[[0, 0, 0, 0], [200, 10, 10, 255], [0, 0, 0, 128]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    got = images.read_image(tmp_path / "a.png")[0]
    assert got[0].tolist() == [255, 255, 255]
    assert got[1].tolist() == [200, 10, 10]
    assert got[2].tolist() == [127, 127, 127]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.save(tmp_path / "b.png", transparency=0)
    assert images.read_image(tmp_path / "b.png").tolist() == [[[255] * 3, [50, 60, 70]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = gradient()
    # What a camera stores for this tag, after the EXIF standard's table: (transposed, flips).
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_matter(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff\xff")
    assert images.read_image(tmp_path / "a.jpg").shape == (6, 9, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
def test_extreme_shapes(tmp_path, shape):
    Image.fromarray(np.full((*shape, 3), 7, np.uint8)).save(tmp_path / "a.png")
    assert images.read_image(tmp_path / "a.png").shape == (*shape, 3)
    images.write_labels(tmp_path / "b.png", np.ones(shape, int))
    assert images.read_labels(tmp_path / "b.png").shape == shape


@pytest.mark.parametrize("read", [images.read_image, images.read_labels])
def test_unusable_files_are_named(tmp_path, read):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)).save(
        buffer, format="PNG"
    )
    content = buffer.getvalue()
    cases = {
        "empty.png": (b"", "empty"),
        "text.png": (b"not a picture", "not an image"),
        "cut.png": (content[: len(content) // 2], "damaged"),
        "flipped.png": (content[:60] + b"\0\0\0\0" + content[64:], "damaged"),
        "head.png": (content[:20], ""),
    }
    for name, (data, word) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError) as error:
            read(tmp_path / name)
        one_line(error, name, word, ";")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError) as error:
        read(tmp_path / "folder.png")
    one_line(error, "folder.png", "is a folder")
    with pytest.raises(InputError) as error:
        read(tmp_path / "none.png")
    one_line(error, "none.png", "no such file")


def test_size_is_checked_before_decoding(tmp_path, monkeypatch):
    Image.fromarray(gradient(20, 30)).save(tmp_path / "a.png")

    def fail(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(image_files, "decode", fail)
    with pytest.raises(InputError) as error:
        images.read_image(tmp_path / "a.png", max_pixels=599)
    one_line(error, "30x20", "599", "BITDIFF_MAX_PIXELS", "max_pixels")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_bound_on_pixels_is_in_the_environment(tmp_path, monkeypatch):
    Image.fromarray(gradient(20, 30)).save(tmp_path / "a.png")
    images.write_labels(tmp_path / "b.png", np.ones((20, 30), int))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow refuses twice that
    for bound, words in (("599", "30x20 is more than 599"), ("many", "must be a whole number")):
        monkeypatch.setenv("BITDIFF_MAX_PIXELS", bound)
        for read, name in ((images.read_image, "a.png"), (images.read_labels, "b.png")):
            with pytest.raises(InputError, match=words):
                read(tmp_path / name)
    monkeypatch.setenv("BITDIFF_MAX_PIXELS", "600")
    assert images.read_image(tmp_path / "a.png").shape == (20, 30, 3)
    assert images.read_labels(tmp_path / "b.png").shape == (20, 30)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_decompression_bomb_is_refused(tmp_path):
    # 30000 x 30000 pixels announced by a file of 60 bytes.
    png(tmp_path / "a.png", 30_000, 30_000, 8, 0, [b""])
    with pytest.raises(InputError) as error:
        images.read_image(tmp_path / "a.png")
    one_line(error, "a.png", "pixels")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, bool])
def test_labels_are_read_as_numbers(tmp_path, dtype):
    ids = np.array([[0, 1, 2], [200, 3, 255]])
    ids = (ids > 2 if dtype is bool else ids + (40_000 if dtype is np.uint16 else 0)).astype(dtype)
    suffix = "tif" if dtype is np.int32 else "png"
    Image.fromarray(ids).save(tmp_path / f"a.{suffix}")
    got = images.read_labels(tmp_path / f"a.{suffix}")
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, ids.astype(int))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pgm"])
def test_labels_are_the_same_in_every_lossless_form(tmp_path, suffix):
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(ids).save(tmp_path / f"a.{suffix}")
    assert f".{suffix}" in images.LABEL_SUFFIXES
    np.testing.assert_array_equal(images.read_labels(tmp_path / f"a.{suffix}"), ids)


@pytest.mark.parametrize("white", [3, 255, 4095, 65_535])
@pytest.mark.parametrize("magic", ["P2", "P5"])
def test_labels_of_a_pgm_are_not_stretched(tmp_path, white, magic):
    ids = np.array([[0, 1, 2, 3]])
    header = f"{magic} 4 1 {white}\n".encode()
    body = b"0 1 2 3\n" if magic == "P2" else ids.astype(">u2" if white > 255 else "u1").tobytes()
    (tmp_path / "a.pgm").write_bytes(header + body)
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.pgm"), ids)


def test_grey_that_was_saved_as_colour_is_grey(tmp_path):
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for mode in ("RGB", "RGBA", "LA"):
        Image.fromarray(ids).convert(mode).save(tmp_path / "a.png")
        np.testing.assert_array_equal(images.read_labels(tmp_path / "a.png"), ids)
    half = Image.fromarray(ids).convert("RGBA")
    half.putalpha(128)
    half.save(tmp_path / "a.png")
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / "a.png")
    one_line(error, "a.png", "RGBA")


def test_floats_are_ids_if_they_are_whole(tmp_path):
    ids = np.array([[0, 1], [70_000, 3]], np.float32)
    Image.fromarray(ids).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.tif"), ids)
    for wrong in (0.5, np.nan, np.inf, 3e9):
        Image.fromarray(np.array([[1, wrong]], np.float32)).save(tmp_path / "b.tif")
        with pytest.raises(InputError) as error:
            images.read_labels(tmp_path / "b.tif")
        one_line(error, "b.tif", "no ids")


@pytest.mark.parametrize("form", ["MPO", "WEBP", "JPEG in TIFF"])
def test_other_lossy_labels_are_refused(tmp_path, form):
    image = Image.fromarray(np.zeros((16, 16), np.uint8))
    if form == "JPEG in TIFF":
        image.save(tmp_path / "a", format="TIFF", compression="jpeg")
    elif form == "MPO":
        image.save(tmp_path / "a", format="MPO", save_all=True, append_images=[image])
    else:
        image.save(tmp_path / "a", format=form)
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / "a")
    one_line(error, "alters region ids", "PNG")


def test_palette_labels_are_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 3], [1, 1]], np.uint8)).convert("P")
    image.putdata([0, 3, 1, 1])
    image.putpalette([0, 0, 0, 255, 0, 0, 255, 0, 0, 9, 9, 9])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.png"), [[0, 3], [1, 1]])


@pytest.mark.parametrize(
    ("depth", "rows", "expected"),
    [
        (4, [b"\x01\x2f", b"\x30\x00"], [[0, 1, 2, 15], [3, 0, 0, 0]]),
        (2, [b"\x1b"], [[0, 1, 2, 3]]),
    ],
)
def test_packed_grey_labels_are_not_stretched(tmp_path, depth, rows, expected):
    png(tmp_path / "a.png", 4, len(rows), depth, 0, rows)
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.png"), expected)


def test_colour_lossy_and_negative_labels_are_refused(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / "a.png")
    one_line(error, "a.png", "RGB", "give each colour a number")
    Image.fromarray(gradient()[..., 0]).save(tmp_path / "b.jpg")
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / "b.jpg")
    one_line(error, "b.jpg", "JPEG", "PNG")
    Image.fromarray(np.array([[-1, 2]], np.int32)).save(tmp_path / "c.tif")
    with pytest.raises(InputError) as error:
        images.read_labels(tmp_path / "c.tif")
    one_line(error, "c.tif", "-1")


def test_labels_survive_writing(tmp_path):
    ids = np.random.default_rng(0).integers(0, 65_536, (40, 30))
    ids[0, :2] = 0, 65_535
    images.write_labels(tmp_path / "a.png", ids)
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.png"), ids)


@pytest.mark.parametrize(
    ("ids", "word"),
    [
        (np.array([[65_536]]), "65536"),
        (np.array([[-1]]), "-1"),
        (np.zeros((2, 2)), "float64"),
        (np.zeros((2, 2, 3), int), "(2, 2, 3)"),
        (np.zeros((0, 2), int), "(0, 2)"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, ids, word):
    with pytest.raises(InputError) as error:
        images.write_labels(tmp_path / "a.png", ids)
    one_line(error, "a.png", word)
    assert not (tmp_path / "a.png").exists()


def test_a_missing_folder_is_named_when_writing(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        images.write_labels(tmp_path / "no" / "a.png", np.ones((2, 2), int))
