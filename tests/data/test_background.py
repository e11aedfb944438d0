"""Id 0 of examples is the background's alone, from readers and records to batches."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from bitdiff_jax.data import augment, images, labelmaps, pipeline, readers, transforms
from bitdiff_jax.data.records import writer
from bitdiff_jax.data.resident import Resident

id_maps = hnp.arrays(np.int32, (6, 5), elements=st.sampled_from([-1, 0, 1, 3, 4000, 1 << 21]))


@settings(max_examples=60, deadline=None)
@given(id_maps, st.booleans())
def test_objects_are_numbered_from_1(ids, has_background):
    got = labelmaps.compact_objects(ids, has_background)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got == -1, ids == -1)
    np.testing.assert_array_equal(got == 0, (ids == 0) & has_background)
    objects = (ids > 0) if has_background else (ids >= 0)
    originals, numbers = np.unique(ids[objects]), np.unique(got[objects])
    np.testing.assert_array_equal(numbers, np.arange(1, len(originals) + 1))
    np.testing.assert_array_equal(originals[got[objects] - 1], ids[objects])


class Nuclei:
    """Images whose left part is dark; there id 0 lies, or so many rows of objects."""

    def __init__(self, has_background, length=5, first=0):
        self.has_background, self._length, self._first = has_background, length, first

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        ids = np.full((40, 40), self._first, np.int32)
        ids[8:30, 18:36] = 5000 + index  # beyond what the augmentation counts as it is
        image = np.where(ids[..., None] == self._first, 0, 255).astype(np.uint8).repeat(3, -1)
        return {"name": str(index), "image": image, "labels": (ids,)}


def batches(sources, count=3, **options):
    options = {"size": 32, "batch_size": 12, "seed": 1, "num_threads": 0} | options
    dataset = pipeline.train_dataset(sources, dict.fromkeys(sources, 1.0), **options)
    return list(itertools.islice(dataset, count))


def rows(sources, **options):
    for batch in batches(sources, reserve_zero=True, **options):
        yield from zip(batch["image"], batch["labels"], batch["size"], strict=True)


@pytest.mark.parametrize("changes", [augment.Augmentation(colour=0, grey=0), None])
def test_the_background_stays_0_through_crops_and_turns(changes):
    seen = set()
    for image, labels, (height, width) in rows({"a": Nuclei(True)}, augment=changes):
        image, labels = image[:height, :width], labels[:height, :width]
        assert set(np.unique(labels)) <= {-1, 0, 1}
        assert (labels[image[..., 0] > 250] != 0).all()
        # Black beyond a turned image's corners is ignored, not background.
        assert (image[..., 0][labels == 0] < 250).all() and (labels == 0).any()
        seen |= set(np.unique(labels))
    assert seen >= {0, 1}


def test_sets_without_a_background_leave_0_free_in_a_mixture():
    sources = {"with": Nuclei(True), "without": Nuclei(False, first=0)}
    lowest = [labels[labels >= 0].min() for _, labels, _ in rows(sources)]
    assert set(lowest) == {0, 1}
    alone = [labels[labels >= 0].min() for _, labels, _ in rows({"without": sources["without"]})]
    assert set(alone) == {1}


def test_padding_as_released_is_background():
    for _, labels, _ in rows({"a": Nuclei(True)}, label_padding=0, augment=augment.as_released):
        assert labels.min() == 0


def test_a_flag_alone_changes_nothing():
    flagged, plain = batches({"a": Nuclei(True)}), batches({"a": Nuclei(False)})
    for one, other in zip(flagged, plain, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_the_fingerprint_tells():
    sources, weights = {"a": Nuclei(True)}, {"a": 1.0}
    settings = {"size": 32, "batch_size": 4, "seed": 0}
    plain = pipeline.fingerprint(sources, weights, **settings)
    assert plain == pipeline.fingerprint(sources, weights, **settings, reserve_zero=False)
    assert plain != pipeline.fingerprint(sources, weights, **settings, reserve_zero=True)


def test_an_example_of_only_background_and_one_of_padding():
    image = np.zeros((4, 8, 3), np.uint8)
    only = transforms.example(
        image, np.zeros((4, 8), np.int32), 8, reserve_zero=True, has_background=True
    )["labels"]
    assert (only[:4] == 0).all() and (only[4:] == -1).all()
    nothing = transforms.example(image, np.full((4, 8), -1), 8, reserve_zero=True)["labels"]
    assert (nothing == -1).all()


def test_records_remember_their_background(tmp_path):
    root = tmp_path / "set"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    item = Nuclei(True)[0]
    Image.fromarray(item["image"]).save(root / "images/a.png")
    images.write_labels(root / "labels/a.png", item["labels"][0])
    for zero in ("background", "region", "ignore"):
        out = tmp_path / zero
        writer.prepare(writer.Files("folder", str(root), {"zero": zero}), out, size=20, workers=0)
        source = readers.make("records", out)
        for each in (source, Resident(source)):
            assert pipeline.has_background(each) == (zero == "background")
        (labels,) = source[0]["labels"]
        assert labels.min() == (-1 if zero == "ignore" else 0)
