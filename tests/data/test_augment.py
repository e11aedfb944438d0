import numpy as np
import pytest

from bitdiff_jax.data import augment, transforms
from bitdiff_jax.errors import InputError

FULL = augment.Augmentation(flip=0.5, crop=1.0, rotate=1.0, colour=1.0, grey=0.2)
GEOMETRY = augment.Augmentation(crop=1.0, rotate=1.0, degrees=20, colour=0.0, grey=0.0)


def scene(height=120, width=160, seed=0):
    """Coloured rectangles; the label can be read off the red channel."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.int32)
    for k in range(1, 8):
        y, x = rng.integers(0, height - 20), rng.integers(0, width - 20)
        labels[y : y + 40, x : x + 50] = k
    image = np.stack([(labels + 1) * 25, 255 - labels * 10, labels * 30], axis=-1)
    return image.astype(np.uint8), labels


@pytest.mark.parametrize("change", [FULL, augment.as_released])
def test_a_function_of_the_generator(change):
    image, labels = scene()
    before = image.copy(), labels.copy()
    runs = [change(image, labels, np.random.default_rng(s), 64) for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    assert runs[0][0].shape != runs[2][0].shape or (runs[0][0] != runs[2][0]).any()
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_result_is_at_network_size_and_ready():
    image, labels = scene()
    labels = labels * 1000 + 7
    labels[:10] = -1
    rng = np.random.default_rng(0)
    for _ in range(50):
        got, ids = FULL(image, labels, rng, 48)
        assert got.dtype == np.uint8 and ids.dtype == np.int32
        assert got.shape == (*ids.shape, 3) and max(ids.shape) == 48
        assert transforms.resized_shape(*ids.shape, 48) == ids.shape
        assert set(np.unique(ids)) <= set(np.unique(labels))


@pytest.mark.parametrize("change", [GEOMETRY, augment.rotate, augment.flip])
def test_image_and_labels_move_together(change):
    image, labels = scene()
    rng = np.random.default_rng(0)
    for _ in range(10):
        if change is augment.rotate:
            got, ids = augment.rotate(image, labels, rng.uniform(-20, 20), -1)
        elif change is augment.flip:
            got, ids = augment.flip(image, labels)
        else:
            got, ids = change(image, labels, rng, 64)
        colour = got[..., 0] / 25 - 1
        known = ids >= 0
        assert known.mean() > 0.6
        # Only pixels mixed along edges may differ.
        assert (np.abs(colour - ids)[known] > 0.1).mean() < 0.25


def test_the_rate_and_extent_of_each_change():
    image, labels = scene(30, 40)
    rng = np.random.default_rng(0)
    only = augment.Augmentation(flip=0.3, crop=0, stretch=0, rotate=0, colour=0, grey=0)
    flips = sum((only(image, labels, rng, 40)[1] != labels).any() for _ in range(400))
    assert 80 <= flips <= 160  # 120 +- 4 sd
    none = augment.Augmentation(flip=0, crop=0, stretch=0, rotate=0, colour=0, grey=0)
    same, ids = none(image, labels, rng, 40)
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(ids, labels)


def test_crops_lie_inside_and_keep_their_share():
    rng = np.random.default_rng(0)
    boxes = [augment.crop_box(50, 7, 0.6, rng) for _ in range(200)]
    heights = [y.stop - y.start for y, _ in boxes]
    assert min(heights) >= 30 and max(heights) <= 50 and len(set(heights)) > 15
    assert all(0 <= x.start < x.stop <= 7 and 0 <= y.start < y.stop <= 50 for y, x in boxes)
    assert augment.crop_box(1, 1, 0.1, rng) == (slice(0, 1), slice(0, 1))


def test_slivers_go_but_small_regions_stay():
    labels = np.zeros((10, 10), np.int32)
    labels[5, 5] = 1  # small, whole
    labels[3:6, 8:] = 2  # cut down to 3 pixels
    labels[0, 0] = 3  # outside
    labels[9, 1] = -1
    labels[6:, 8:] = 4  # cut down to 4 pixels
    box = slice(3, 10), slice(0, 9)
    cropped = labels[box]
    got = augment.drop_slivers(cropped, labels, box, 4)
    np.testing.assert_array_equal(got == -1, (cropped == 2) | (cropped == -1))
    np.testing.assert_array_equal(got[got >= 0], cropped[got >= 0])
    assert augment.drop_slivers(cropped, labels, box, 3) is cropped


@pytest.mark.parametrize("side", [slice(0, 5), slice(1, 6)])
def test_slivers_are_found_on_each_side_of_the_crop(side):
    labels = np.arange(36, dtype=np.int32).reshape(6, 6) // 12  # three bands of two rows
    for turned, box in ((labels, (side, slice(0, 6))), (labels.T, (slice(0, 6), side))):
        band = 2 if side.start == 0 else 0
        got = augment.drop_slivers(turned[box], turned, box, 13)
        np.testing.assert_array_equal(got == -1, turned[box] == band)


def test_a_region_that_a_crop_cuts_in_two_keeps_one_id():
    labels = np.zeros((12, 12), np.int32)
    labels[2:, 2:4] = labels[2:, 8:10] = labels[10:, 2:10] = 7  # a U
    box = slice(0, 9), slice(0, 12)
    # Each arm has 14 pixels, both together 28: what counts is the region.
    kept = augment.drop_slivers(labels[box], labels, box, 28)
    np.testing.assert_array_equal(kept, labels[box])
    assert (augment.drop_slivers(labels[box], labels, box, 29) == -1).sum() == 28


def test_the_crop_of_the_augmentation_keeps_one_id_for_two_parts():
    labels = np.zeros((60, 60), np.int32)
    labels[5:, 10:20] = labels[5:, 40:50] = labels[50:, 10:50] = 5_000_000  # a U
    image = np.zeros((60, 60, 3), np.uint8)
    crop = augment.Augmentation(flip=0, crop=1, min_side=0.5, rotate=0, colour=0, grey=0)
    two_parts = 0
    for seed in range(60):
        _, ids = crop(image, labels, np.random.default_rng(seed), 60)
        assert set(np.unique(ids)) <= {-1, 0, 5_000_000}
        last_row = np.flatnonzero(ids[-1] == 5_000_000)
        two_parts += bool((np.diff(last_row) > 1).any())
    assert two_parts > 5


@pytest.mark.parametrize(("size", "least"), [(128, 16), (64, 4), (100, 10), (32, 1), (16, 1)])
def test_what_is_a_sliver_goes_with_the_area_of_the_network(monkeypatch, size, least):
    labels = np.zeros((size + 1, size), np.int32)
    bars = range(1, min(size // 2, 24))
    for k in bars:
        labels[: k + 1, 2 * k] = k  # k pixels of it remain
    box = slice(1, size + 1), slice(0, size)
    monkeypatch.setattr(augment, "crop_box", lambda *_: box)
    crop = augment.Augmentation(flip=0, crop=1, stretch=0, rotate=0, colour=0, grey=0)
    image = np.zeros((size + 1, size, 3), np.uint8)
    _, ids = crop(image, labels, np.random.default_rng(0), size)
    kept = {k for k in bars if (ids == k).any()}
    assert kept == {k for k in bars if k >= least}
    np.testing.assert_array_equal(ids == -1, (labels[box] > 0) & (labels[box] < least))


def test_rotation_fills_and_turns():
    image, labels = scene(41, 41)
    got, ids = augment.rotate(image, labels, 45, -1)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert ids[corner] == -1 and not got[corner].any()
    quarter, turned = augment.rotate(image, labels, 90, -1)
    np.testing.assert_array_equal(turned, np.rot90(labels))
    np.testing.assert_array_equal(quarter, np.rot90(image))


def test_recolour_follows_its_formula():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(augment.recolour(image), image)
    shift = np.array([0.1, -0.1, 0.0])
    got = augment.recolour(image, gamma=0.8, contrast=1.2, brightness=0.05, shift=shift)
    expected = ((image / 255.0) ** 0.8 - 0.5) * 1.2 + 0.5 + 0.05 + shift
    np.testing.assert_allclose(got, np.clip(expected, 0, 1) * 255, atol=0.501)
    grey = augment.recolour(image, saturation=0.0)
    assert (np.ptp(grey, axis=-1) <= 1).all()
    np.testing.assert_allclose(grey[..., 0], image @ [0.299, 0.587, 0.114], atol=0.501)
    vivid = augment.recolour(image, saturation=1.5).astype(int)
    assert np.ptp(vivid, axis=-1).mean() > np.ptp(image.astype(int), axis=-1).mean()


def test_released_changes_keep_size_and_fill_with_region_zero():
    image, labels = scene()
    labels += 1
    rng = np.random.default_rng(0)
    corners = 0
    for _ in range(60):
        got, ids = augment.as_released(image, labels, rng)
        assert got.shape == image.shape and got.dtype == np.uint8
        assert ids.shape == labels.shape and ids.dtype == np.int32 and ids.min() >= 0
        corners += (ids == 0).any()
    assert 6 <= corners <= 31  # 18 +- 3.5 sd


def test_released_hue_shift_of_a_full_turn_changes_little():
    image, _ = scene()
    same = augment._shift_hsv(image, np.array([180.0, 0.0, 0.0])).astype(int)
    assert np.abs(same - image).max() <= 8  # Pillow's HSV has 8 bits
    darker = augment._shift_hsv(image, np.array([0.0, 0.0, -20.0])).astype(int)
    np.testing.assert_allclose(darker.max(-1), image.max(-1).astype(int) - 20, atol=1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("fill", [-1, 5])
def test_degenerate_images(shape, fill):
    image = np.full((*shape, 3), 100, np.uint8)
    labels = np.full(shape, fill, np.int32)
    for change in (FULL, augment.as_released):
        for seed in range(5):
            got, ids = change(image, labels, np.random.default_rng(seed), 16)
            example = transforms.example(got, ids, 16)
            assert example["labels"].shape == (16, 16)
            if fill < 0 and change is FULL:
                assert (example["labels"] == -1).all()


@pytest.mark.parametrize(
    "settings", [{"flip": 1.5}, {"grey": -0.1}, {"min_side": 0}, {"strength": -1}]
)
def test_bad_settings_are_named(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        augment.Augmentation(**settings)
