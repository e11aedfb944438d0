import unicodedata

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import readers
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts


def plain(root, name="a", masks=(), suffix="jpg"):
    """root/images/NAME.jpg and root/masks/NAME/*.png."""
    layouts.save(root / "images" / f"{name}.{suffix}", layouts.make_image(1))
    (root / "masks" / name).mkdir(parents=True, exist_ok=True)
    for k, mask in enumerate(masks):
        layouts.save(root / "masks" / name / f"m{k:02d}.png", mask)


def boxes(*spans):
    """A mask of each (top, bottom, left, right)."""
    masks = np.zeros((len(spans), 12, 17), np.uint8)
    for mask, (top, bottom, left, right) in zip(masks, spans, strict=True):
        mask[top:bottom, left:right] = 255
    return list(masks)


def by_pixel(masks, order):
    """Which mask each pixel belongs to, one pixel at a time; -1 for none."""
    areas = [int((mask > 0).sum()) for mask in masks]
    result = np.full((12, 17), -1, np.int32)
    for y, x in np.ndindex(12, 17):
        covering = [k for k, mask in enumerate(masks) if mask[y, x]]
        if covering:
            winner = {
                "earlier": covering[0],
                "later": covering[-1],
                "smaller": min(covering, key=lambda k: (areas[k], -k)),
            }[order]
            result[y, x] = winner + 1
    return result


def labels(root, **options):
    (ids,) = readers.make("masks", root, **{"zero": "ignore", **options})[0]["labels"]
    return ids


@pytest.mark.parametrize("order", ["smaller", "later", "earlier"])
def test_overlaps(tmp_path, order):
    rng = np.random.default_rng(3)
    masks = [np.uint8(255) * (rng.random((12, 17)) < share) for share in (0.2, 0.7, 0.4, 0.4)]
    masks.append(masks[0].copy())  # the same one again
    plain(tmp_path, masks=masks)
    np.testing.assert_array_equal(labels(tmp_path, order=order), by_pixel(masks, order))


def test_what_lies_on_a_larger_thing_stays(tmp_path):
    plain(tmp_path, masks=boxes((4, 6, 4, 6), (1, 11, 1, 16)))
    ids = labels(tmp_path)
    assert (ids == 1).sum() == 4 and (ids == 2).sum() == 146
    assert not (labels(tmp_path, order="later") == 1).any()


def test_the_rest_is_ignored_or_a_region(tmp_path):
    plain(tmp_path, masks=boxes((0, 12, 0, 5)))
    expected = np.full((12, 17), -1)
    expected[:, :5] = 1
    np.testing.assert_array_equal(labels(tmp_path), expected)
    for zero in ("region", "background"):
        np.testing.assert_array_equal(labels(tmp_path, zero=zero), np.maximum(expected, 0))


def test_empty_masks_and_images_without_objects(tmp_path):
    plain(tmp_path, masks=boxes((0, 0, 0, 0), (0, 12, 0, 5), (3, 3, 2, 9)))
    assert set(np.unique(labels(tmp_path))) == {-1, 2}
    plain(tmp_path, "Z")  # before a, in the order of characters
    assert (labels(tmp_path) == -1).all()
    assert (labels(tmp_path, zero="region") == 0).all()


@pytest.mark.parametrize("high", [1, 3, 255])
def test_the_brightest_value_says_what_is_inside(tmp_path, high):
    mask = np.zeros((12, 17), np.uint8)
    mask[:, :4] = high
    mask[:, 4] = high // 2  # the soft edge of a drawing program
    plain(tmp_path, masks=[mask])
    expected = np.full((12, 17), -1)
    expected[:, :4] = 1
    np.testing.assert_array_equal(labels(tmp_path), expected)


def test_masks_of_one_bit_of_sixteen_and_with_a_palette(tmp_path):
    inside = boxes((2, 9, 3, 8))[0] > 0
    plain(tmp_path)
    folder = tmp_path / "masks" / "a"
    for form in ("bit", "sixteen", "palette"):
        if form == "bit":
            Image.fromarray(inside).save(folder / "m.png", bits=1)
        elif form == "sixteen":
            Image.fromarray(inside.astype(np.uint16) * 65535).save(folder / "m.png")
        else:
            layouts.save_palette(folder / "m.png", inside * 7)
        np.testing.assert_array_equal(labels(tmp_path), np.where(inside, 1, -1))


def test_more_masks_than_a_byte_holds(tmp_path):
    spots = np.zeros((12 * 17, 12, 17), np.uint8)
    spots.reshape(204, 204)[np.arange(204), np.arange(204)] = 255
    masks = [spots[k % 204] for k in range(300)]
    folder = tmp_path / "masks" / "a"
    plain(tmp_path)
    for k, mask in enumerate(masks):
        layouts.save(folder / f"m{k:03d}.png", mask)
    expected = np.arange(1, 205)
    expected[:96] += 204  # of equal ones the later
    np.testing.assert_array_equal(labels(tmp_path).ravel(), expected)


def test_faults_of_a_image_are_named_when_it_is_read(tmp_path):
    plain(tmp_path, masks=boxes((0, 12, 0, 5)))
    reader = readers.make("masks", tmp_path, zero="ignore")
    path = tmp_path / "masks" / "a" / "m00.png"
    for array, words in (
        (np.zeros((17, 12), np.uint8), ("12x17", "17x12", "a.jpg")),
        (layouts.make_image(3), ("RGB",)),
        (None, ("m00.png",)),
    ):
        path.write_bytes(b"broken") if array is None else layouts.save(path, array)
        with pytest.raises(InputError) as error:
            reader[0]
        assert "\n" not in str(error.value)
        assert all(word in str(error.value) for word in ("m00.png", *words))


@pytest.mark.parametrize("suffix", ["tif", "tiff", "bmp", "gif", "pgm", "TIF"])
def test_masks_in_any_lossless_form(tmp_path, suffix):
    masks = boxes((0, 5, 0, 5), (6, 12, 3, 9))
    plain(tmp_path, masks=masks)
    expected = labels(tmp_path)
    for path in sorted((tmp_path / "masks" / "a").iterdir()):
        Image.open(path).save(path.with_suffix(f".{suffix}"))
        path.unlink()
    np.testing.assert_array_equal(labels(tmp_path), expected)
    assert set(np.unique(expected)) == {-1, 1, 2}


@pytest.mark.parametrize(
    ("name", "words"),
    [("m.jpg", "JPEG alters"), ("m.npy", "grey PNG"), ("m.csv", "holds none"), ("m", "grey PNG")],
)
def test_what_cannot_be_read_is_not_taken_for_absent(tmp_path, name, words):
    plain(tmp_path)
    (tmp_path / "masks" / "a" / name).write_bytes(b"x")
    with pytest.raises(InputError, match=rf"masks/a/{name}: .*{words}"):
        labels(tmp_path)
    (tmp_path / "masks" / "a" / name).unlink()
    (tmp_path / "masks" / "a" / "deeper").mkdir()
    with pytest.raises(InputError, match="deeper: is a folder"):
        labels(tmp_path)


def test_what_systems_leave_beside_files_is_passed_over(tmp_path):
    layouts.masks(tmp_path)
    names = readers.make("masks", tmp_path).names
    for place in (tmp_path, *tmp_path.rglob("masks"), *tmp_path.rglob("images")):
        (place / "__MACOSX").mkdir()
        for name in ("._a.png", ".DS_Store", "Thumbs.db", "__MACOSX/._a.png"):
            (place / name).write_bytes(b"x")
    reader = readers.make("masks", tmp_path)
    assert reader.names == names and all(reader[k]["labels"] for k in range(len(reader)))


def test_an_object_a_slice(tmp_path):
    masks = boxes((0, 5, 0, 5), (0, 0, 0, 0), (6, 12, 3, 9))
    plain(tmp_path, masks=masks)
    expected = labels(tmp_path)
    for path in (tmp_path / "masks" / "a").iterdir():
        path.unlink()
    first, *others = map(Image.fromarray, masks)
    first.save(tmp_path / "masks/a/all.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(labels(tmp_path), expected)
    assert set(np.unique(expected)) == {-1, 1, 3}
    numbers = Image.fromarray(np.arange(204, dtype=np.uint8).reshape(12, 17))
    first.save(tmp_path / "masks/a/all.tif", save_all=True, append_images=[numbers])
    with pytest.raises(InputError, match=r"all\.tif: frame 1 of 2 has 204 different values"):
        labels(tmp_path)


def test_a_palette_of_white_and_black_means_its_colours(tmp_path):
    inside = boxes((2, 9, 3, 8))[0] > 0
    plain(tmp_path)
    image = Image.fromarray(np.where(inside, 0, 1).astype(np.uint8)).convert("P")
    image.putdata(np.where(inside, 0, 1).ravel().tolist())
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "masks/a/m.png")
    np.testing.assert_array_equal(labels(tmp_path), np.where(inside, 1, -1))


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_alike_are_the_same(tmp_path, forms):
    first, second = (unicodedata.normalize(form, "Zürich") for form in forms)
    plain(tmp_path, first, masks=boxes((0, 5, 0, 5)))
    (tmp_path / "masks" / first).rename(tmp_path / "masks" / second)
    assert set(np.unique(labels(tmp_path))) == {-1, 1}


def test_faults_of_the_layout_are_named(tmp_path):
    plain(tmp_path, masks=boxes((0, 12, 0, 5)))
    layouts.save(tmp_path / "images" / "b.jpg", layouts.make_image(2))
    with pytest.raises(InputError, match=r"1 of 2 .* b/"):
        readers.make("masks", tmp_path)
    (tmp_path / "images" / "b.jpg").unlink()
    layouts.save(tmp_path / "images" / "a.png", layouts.make_image(2))
    with pytest.raises(InputError, match="second picture with ID a"):
        readers.make("masks", tmp_path)


def test_bowl_without_masks(tmp_path):
    layouts.masks(tmp_path)
    train = tmp_path / "stage1_train"
    assert readers.splits("masks", train) == () and len(readers.make("masks", train)) == 3
    with pytest.raises(InputError, match="no pictures with masks"):
        readers.make("masks", tmp_path / "stage1_test")
    layouts.save(train / "zz" / "images" / "zz.png", layouts.make_image(1))
    with pytest.raises(InputError, match=r"zz/masks: no such folder"):
        readers.make("masks", train)[3]
    # The folder is named by its ID, as the picture is.
    (train / "zz" / "images" / "zz.png").rename(train / "zz" / "images" / "y.png")
    with pytest.raises(InputError, match=r"zz/images/zz\.png"):
        readers.make("masks", train)[3]


def test_splits_of_the_plain_form(tmp_path):
    for split in ("train", "val"):
        plain(tmp_path / split, masks=boxes((0, 12, 0, 5)))
    assert readers.splits("masks", tmp_path) == ("train", "val")
    assert readers.make("masks", tmp_path, zero="ignore").names == ("train/a", "val/a")
    assert readers.make("masks", tmp_path, "val", zero="ignore").names == ("a",)


def test_real_nuclei(real_data, tmp_path):
    source = real_data / "dsb2018"
    expected = {}
    for path in sorted((source / "images").iterdir())[:60:20]:
        ids = np.asarray(Image.open(source / "labels" / f"{path.stem}.png")).astype(int)
        # The highest id is what is in no mask.
        expected[path.stem] = np.where(ids == ids.max(), 0, ids)
        folder = tmp_path / path.stem
        layouts.save(folder / "images" / f"{path.stem}.png", np.asarray(Image.open(path)))
        for region in range(1, ids.max()):
            mask = np.uint8(255) * (ids == region)
            layouts.save(folder / "masks" / f"{region:04d}.png", mask)
    reader = readers.make("masks", tmp_path, zero="region")
    assert len(reader) == 3
    for item in (reader[k] for k in range(3)):
        np.testing.assert_array_equal(item["labels"][0], expected[item["name"]])


@pytest.mark.parametrize("highs", [(1, 2, 3), (255, 1, 7)])
def test_frames_of_a_stack_have_a_brightest_value_each(tmp_path, highs):
    masks = boxes((0, 5, 0, 5), (0, 4, 8, 12), (6, 12, 3, 9))
    plain(tmp_path, masks=masks)
    expected = labels(tmp_path)
    for path in (tmp_path / "masks" / "a").iterdir():
        path.unlink()
    frames = [mask // 255 * high for mask, high in zip(masks, highs, strict=True)]
    first, *others = map(Image.fromarray, frames)
    first.save(tmp_path / "masks/a/all.tif", save_all=True, append_images=others)
    np.testing.assert_array_equal(labels(tmp_path), expected)
    assert set(np.unique(expected)) == {-1, 1, 2, 3}


def test_a_frame_of_another_shape_is_not_passed_over(tmp_path):
    masks = boxes((0, 5, 0, 5), (6, 12, 3, 9))
    plain(tmp_path)
    others = [Image.fromarray(masks[1][:6])]
    Image.fromarray(masks[0]).save(
        tmp_path / "masks/a/all.tif", save_all=True, append_images=others
    )
    with pytest.raises(InputError, match=r"all\.tif: is 17x6, its picture .* is 17x12"):
        labels(tmp_path)


def test_a_file_of_ids_is_no_mask(tmp_path):
    ids = np.zeros((12, 17), np.uint8)
    ids[:4], ids[4:8, :5], ids[9:] = 1, 2, 3
    plain(tmp_path, masks=[ids])
    with pytest.raises(InputError, match=r"m00\.png: its values 0 to 3 look like ids"):
        labels(tmp_path)
    soft = np.linspace(0, 255, 204).astype(np.uint8).reshape(12, 17)
    layouts.save(tmp_path / "masks/a/m00.png", soft)
    np.testing.assert_array_equal(labels(tmp_path), np.where(soft > 127, 1, -1))
