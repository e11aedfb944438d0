import csv
import errno
import io

import numpy as np
import pytest
from etils import epath

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.region_table import Region, measure, number
from tests.inference import tiny


def test_a_label_map_comes_back_unchanged(tmp_path):
    label_map = np.array([[1, 2, 300], [65_535, 1, 0]], np.int32)
    outputs.save_png(tmp_path / "a.png", outputs.as_ids(label_map))
    np.testing.assert_array_equal(images.read_labels(tmp_path / "a.png"), label_map)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("bad", [-1, 65_536])
def test_ids_beyond_16_bits_are_refused(bad):
    with pytest.raises(InputError, match=str(bad)):
        outputs.as_ids(np.array([[1, bad]]))


@pytest.mark.parametrize("shape", [(1, 3), (40, 900), (700, 5)])
def test_agreement_is_grey_from_black_to_white_above_its_legend(shape):
    values = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
    got = outputs.agreement_with_legend(values, 4)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got[: shape[0], : shape[1]], np.rint(values * 255))
    legend = got[shape[0] :]
    # The bar has every grey, from black at its left to white at its right.
    assert any((np.diff(row.astype(int)) >= 0).sum() > 200 and len(np.unique(row)) > 150
               for row in legend)  # fmt: skip
    assert legend.shape[1] >= shape[1]


@pytest.mark.parametrize("width", [100, 360, 448, 512, 640, 1280])
@pytest.mark.parametrize("num_samples", [2, 4, 14])
def test_the_words_of_the_legend_stand_apart(width, num_samples):
    legend = outputs.agreement_with_legend(np.ones((1, width)), num_samples)[1:]
    assert (legend[-1] == 255).all()  # no letter is cut
    size = min(max(width // 32, 11), 40)
    top = 2 * (size // 2) + size
    line = legend[top : top + size]  # agreement of 4 samples, mean 1.00
    inked = np.flatnonzero((line < 128).any(axis=0))
    gaps = np.diff(inked) - 1
    # Between the letters of a word there is less.
    assert (gaps >= max(3, 0.25 * size)).sum() == 5


def test_colours_are_those_of_the_overlay():
    label_map = np.arange(1, 5).repeat(8)[None].repeat(8, axis=0)
    got = outputs.colours(label_map)
    black = outputs.overlay(np.zeros((8, 32, 3), np.uint8), label_map)
    inside = (got != 255).any(axis=-1)
    np.testing.assert_allclose(black[inside], got[inside] * 0.45, atol=0.51)
    assert len(np.unique(got[inside], axis=0)) == 4 and not inside.all()


def test_overlay_shows_image_regions_and_boundaries():
    image = tiny.image(12, 20) // 2
    label_map = np.ones((12, 20), np.int32)
    label_map[:, 10:] = 2
    label_map[:4, 10:] = 3
    got = outputs.overlay(image, label_map)
    assert got.shape == image.shape and got.dtype == np.uint8
    white = (got == 255).all(axis=-1)
    assert white[:, 9:11].any(axis=1).all() and white[3:5, 12:].any(axis=0).all()
    assert not white[:, :8].any() and not white[6:, 12:].any()
    # Inside a region the picture shows through the same tint everywhere.
    inside = got[:, :8].astype(int) - np.rint(image[:, :8] * 0.55).astype(int)
    assert np.ptp(inside.reshape(-1, 3), axis=0).max() <= 1


def test_overlay_of_one_pixel_and_of_many_regions():
    assert outputs.overlay(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.int32)).shape == (
        1,
        1,
        3,
    )
    label_map = np.arange(1, 65, dtype=np.int32).reshape(8, 8).repeat(4, 0).repeat(4, 1)
    got = outputs.overlay(np.zeros((32, 32, 3), np.uint8), label_map)
    assert len(np.unique(got[2::4, 2::4].reshape(-1, 3), axis=0)) == 64


def test_boundaries_grow_with_the_image():
    def width(side):
        label_map = np.ones((4, side), np.int32)
        label_map[:, side // 2 :] = 2
        return (outputs.overlay(np.zeros((4, side, 3), np.uint8), label_map)[0, :, 0] == 255).sum()

    assert width(100) == 1 and width(3000) == 6


def test_the_table_of_regions():
    image = tiny.image(4, 6)
    label_map = number(np.repeat([[3, 3, 3, 3, 8, 8]], 4, axis=0))
    agreement = np.full((4, 6), 0.25, np.float32)
    written = outputs.as_csv(
        outputs.CSV_COLUMNS,
        *outputs.region_fields("a", "dir/a, b.png", measure(label_map, image, agreement)),
        *outputs.region_fields("b", "b.png", measure(label_map, image)),
    )
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    assert tuple(rows[0]) == outputs.CSV_COLUMNS and len(rows) == 4
    assert [row["region"] for row in rows] == ["1", "2", "1", "2"]
    assert rows[0]["file"] == "dir/a, b.png" and rows[0]["area"] == "16"
    assert [rows[1][k] for k in ("top", "left", "bottom", "right")] == ["0", "4", "4", "6"]
    assert (rows[0]["centroid_row"], rows[0]["centroid_column"]) == ("1.50", "1.50")
    assert float(rows[0]["mean_red"]) == round(image[:, :4, 0].mean(), 1)
    assert rows[0]["agreement"] == "0.2500" and rows[2]["agreement"] == ""


def test_a_name_that_is_no_text_keeps_its_bytes():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    region = Region(1, 1, (0, 0, 1, 1), (0.0, 0.0), (0.0, 0.0, 0.0), None)
    rows = outputs.region_fields("a", name, [region])
    assert b"caf\xe9.png" in outputs.as_csv(outputs.CSV_COLUMNS, *rows)


def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    outputs.save_png(target, np.zeros((4, 4), np.uint8))
    before = target.read_bytes()
    local = type(epath.Path(target))
    write = local.write_bytes

    def write_half(path, data):
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local, "write_bytes", write_half)
    with pytest.raises(InputError, match=r"a\.png.*No space left on device") as error:
        outputs.save_png(target, np.ones((4, 4), np.uint8))
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert target.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    for path in (tmp_path / "none" / "a.png", tmp_path):
        with pytest.raises(InputError, match="cannot be written"):
            outputs.save_png(path, np.zeros((2, 2), np.uint8))
