import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import readers
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts

# Of the authors' label table: void classes, and the first and last of those with instances.
VOID = range(7)
FIRST_THING, LAST_THING = 24, 33


@pytest.fixture
def root(tmp_path):
    layouts.cityscapes(tmp_path)
    return tmp_path


def show(root, numbers):
    place = "gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png"
    layouts.save(root / place, np.asarray(numbers).astype(np.uint16))


def labels(root, **options):
    (ids,) = readers.make("cityscapes", root, "train", **options)[0]["labels"]
    return ids


def region_of(number, groups):
    """By the rules of the authors' scripts, number by number."""
    label = number // 1000 if number >= 1000 else number
    if label in VOID or label > LAST_THING:
        return -1
    if number >= 1000:
        return number if label >= FIRST_THING else -1
    if label >= FIRST_THING and groups == "ignore":
        return -1
    return number


@pytest.mark.parametrize("groups", ["ignore", "region"])
def test_every_number_a_map_can_hold(root, groups):
    numbers = np.arange(65536)
    expected = np.array([region_of(number, groups) for number in numbers])
    for first in range(0, 65536, 16384):
        part = numbers[first : first + 16384].reshape(128, 128)
        place = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
        layouts.save(root / place, np.zeros((128, 128, 3), np.uint8))
        show(root, part)
        np.testing.assert_array_equal(labels(root, groups=groups), expected[part])


def test_the_map_is_a_sixteen_bit_file(root):
    path = root / "gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png"
    assert Image.open(path).mode.startswith("I")
    assert labels(root).max() == 26001


def test_an_object_cut_in_two_is_one_region(root):
    numbers = np.full((12, 17), 26000)
    numbers[:, 8] = 17
    show(root, numbers)
    for stuff in ("class", "connected"):
        ids = labels(root, stuff=stuff)
        assert len(np.unique(ids)) == 2 and (ids == 26000).sum() == 12 * 16


def test_pieces_of_a_class(root):
    numbers = np.full((12, 17), 23)
    numbers[2:5, 2:5] = numbers[8:11, 2:5] = 17
    numbers[5, 5] = 17  # touches the first piece at a corner
    numbers[6:, 9] = numbers[6, 9:] = 24003
    show(root, numbers)
    assert set(np.unique(labels(root))) == {17, 23, 24003}
    ids = labels(root, stuff="connected")
    assert (ids == 24003).sum() == (numbers == 24003).sum()
    pieces = [np.unique(ids[where]) for where in (numbers == 17, numbers == 23)]
    assert [len(each) for each in pieces] == [2, 2]
    assert ids[2, 2] == ids[5, 5] != ids[9, 3]
    assert ids[0, 0] == ids[11, 0] != ids[11, 16]
    assert all(each.min() > 33_999 for each in pieces)


def test_what_is_ignored_is_said(root):
    assert "groups" in readers.make("cityscapes", root).unlabelled
    assert "groups" not in readers.make("cityscapes", root, groups="region").unlabelled
    for option in ("stuff", "groups"):
        with pytest.raises(InputError, match=f"{option}=piece"):
            readers.make("cityscapes", root, **{option: "piece"})


def test_the_test_split_is_refused(root):
    with pytest.raises(InputError, match="not public"):
        readers.make("cityscapes", root, "test")
    assert not any(name.startswith("berlin") for name in readers.make("cityscapes", root).names)


def test_incomplete_and_unfit_files_are_named(root):
    reader = readers.make("cityscapes", root, "train")
    show(root, np.zeros((5, 6)))
    with pytest.raises(InputError, match=r"instanceIds\.png: is 6x5, .* is 17x12"):
        reader[0]
    (root / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png").unlink()
    with pytest.raises(InputError, match=r"1 of 1 .*aachen_000000_000019_leftImg8bit\.png"):
        readers.make("cityscapes", root, "train")
    assert len(readers.make("cityscapes", root, "val")) == 1


def test_half_of_the_download(root):
    (root / "leftImg8bit").rename(root / "elsewhere")
    with pytest.raises(InputError, match=r"leftImg8bit_trainvaltest\.zip"):
        readers.make("cityscapes", root)


def test_maps_in_another_lossless_form(root):
    expected = labels(root)
    (path,) = (root / "gtFine/train/aachen").glob("*_instanceIds.png")
    Image.open(path).save(path.with_suffix(".tif"))
    path.unlink()
    np.testing.assert_array_equal(labels(root), expected)
