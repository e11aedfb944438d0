import zlib

import numpy as np
import pytest
import scipy.io
from PIL import Image

from bitdiff_jax.data import readers
from bitdiff_jax.data.readers import bsds500
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts


def refused(path, *words):
    with pytest.raises(InputError) as error:
        bsds500.read_segmentations(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("place", ["", "BSR", "BSR/BSDS500", "BSR/BSDS500/data"])
def test_any_folder_on_the_way_is_a_root(tmp_path, place):
    layouts.bsds500(tmp_path)
    reader = readers.make("bsds500", tmp_path / place)
    assert len(reader) == 6 and readers.splits("bsds500", tmp_path / place) == (
        "train",
        "val",
        "test",
    )
    # In the order of the splits, by name within each.
    assert reader.names == ("02008", "02018", "12008", "12018", "22008", "22018")


def test_all_annotators_in_order(tmp_path):
    maps = [layouts.quarters(ids=(k + 1, 2, 3, 40000)) for k in range(9)]
    layouts.write_groundtruth(tmp_path / "a.mat", maps)
    found = bsds500.read_segmentations(tmp_path / "a.mat")
    assert len(found) == 9
    for got, want in zip(found, maps, strict=True):
        assert got.dtype == np.int32
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
@pytest.mark.parametrize("compress", [True, False])
def test_types_that_matlab_may_have_chosen(tmp_path, dtype, compress):
    ids = layouts.quarters(ids=(0, 1, 2, 255))
    layouts.write_groundtruth(tmp_path / "a.mat", [ids], dtype, compress)
    (found,) = bsds500.read_segmentations(tmp_path / "a.mat")
    np.testing.assert_array_equal(found, np.where(ids == 0, -1, ids))


def test_an_incomplete_set_is_named(tmp_path):
    layouts.bsds500(tmp_path)
    truth = tmp_path / "BSR" / "BSDS500" / "data" / "groundTruth" / "val"
    (truth / "12008.mat").unlink()
    assert len(readers.make("bsds500", tmp_path, "train")) == 2
    with pytest.raises(InputError, match=r"1 of 2 .*12008\.mat"):
        readers.make("bsds500", tmp_path, "val")


def test_a_map_of_another_size_is_named(tmp_path):
    layouts.bsds500(tmp_path)
    truth = tmp_path / "BSR" / "BSDS500" / "data" / "groundTruth" / "val"
    maps = [layouts.quarters(), layouts.quarters(17, 12)]
    layouts.write_groundtruth(truth / "12008.mat", maps)
    reader = readers.make("bsds500", tmp_path, "val")
    with pytest.raises(InputError, match=r"12008\.mat: is 12x17, .* is 17x12"):
        reader[0]
    assert len(reader[1]["labels"]) == 3


def test_other_content_is_named(tmp_path):
    path = tmp_path / "a.mat"
    refused(path, "no such file")
    path.mkdir()
    refused(path, "cannot be read")
    path = tmp_path / "b.mat"
    for data in (b"", b"MATLAB 5.0", b"\x89HDF\r\n\x1a\n" + bytes(600)):
        path.write_bytes(data)
        refused(path, "MATLAB")
    scipy.io.savemat(path, {"segs": np.ones((3, 4))})
    refused(path, "groundTruth")
    scipy.io.savemat(path, {"groundTruth": np.ones((3, 4))})
    refused(path, "groundTruth")
    for content, word in (
        ({"Boundaries": np.ones((3, 4))}, "person 0"),
        ({"Segmentation": np.ones((3, 4, 2), np.uint8)}, "not a map"),
        ({"Segmentation": np.zeros((0, 0))}, "not a map"),
        ({"Segmentation": np.full((3, 4), 0.5)}, "whole numbers"),
        ({"Segmentation": "text"}, "not a map"),
        ({"Segmentation": np.full((3, 4), -1)}, "whole numbers"),
        ({"Segmentation": np.full((3, 4), 2**31)}, "whole numbers"),
        (np.ones((3, 4)), "person 0"),
    ):
        cells = np.empty((1, 1), object)
        cells[0, 0] = content
        scipy.io.savemat(path, {"groundTruth": cells})
        refused(path, word)


def test_a_file_that_inflates_without_end_is_refused(tmp_path):
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    data = zlib.compress(bytes((1 << 26) + 1), 1)
    path = tmp_path / "bomb.mat"
    path.write_bytes(header + np.array([15, len(data)], "<u4").tobytes() + data)
    assert path.stat().st_size < 1 << 22
    refused(path, "inflates")


def test_damaged_files_are_refused_or_read(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.mat"
    for compress in (False, True):
        layouts.write_groundtruth(path, [layouts.quarters()] * 3, compress=compress)
        whole = path.read_bytes()
        refusals = 0
        for _ in range(50):
            data = bytearray(whole)
            for place in rng.integers(len(data), size=rng.integers(1, 9)):
                data[place] = rng.integers(256)
            if rng.random() < 0.2:
                del data[rng.integers(len(data)) :]
            path.write_bytes(data)
            try:
                for ids in bsds500.read_segmentations(path):
                    assert ids.dtype == np.int32 and ids.ndim == 2
            except InputError as error:
                refusals += 1
                assert "\n" not in str(error)
        assert refusals > 5


def test_real_images(real_data, tmp_path):
    source = real_data / "bsds500"
    data = tmp_path / "BSDS500" / "data"
    expected = {}
    for path in sorted((source / "images").glob("1000*.jpg"))[:3]:
        maps = sorted((source / "labels").glob(f"{path.stem}_*.png"))
        expected[path.stem] = [np.asarray(Image.open(each)).astype(np.int32) for each in maps]
        target = data / "images" / "val" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        truth = data / "groundTruth" / "val" / f"{path.stem}.mat"
        layouts.write_groundtruth(truth, expected[path.stem])
    reader = readers.make("bsds500", tmp_path, "val")
    assert set(reader.names) == set(expected) and len(reader) == 3
    for item in (reader[k] for k in range(3)):
        assert item["image"].shape in ((321, 481, 3), (481, 321, 3))
        assert 4 <= len(item["labels"]) == len(expected[item["name"]])
        for got, want in zip(item["labels"], expected[item["name"]], strict=True):
            np.testing.assert_array_equal(got, want)
