import concurrent.futures
import pickle

import numpy as np
import pytest

from bitdiff_jax.data import pipeline, transforms
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.errors import InputError

BYTES = 20 * 30 * (3 + 1 + 4)  # one item of `Counted`: ids to 127 take a byte, others four


class Counted:
    """Three pictures of 20 x 30 with two maps each; counts how often each is read."""

    definition = "counted"

    def __init__(self):
        self.reads = [0, 0, 0]

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.reads[index] += 1
        rng = np.random.default_rng(index)
        halves = np.full((20, 30), 1, np.int32)
        halves[:, 15:] = -1  # and so the other map is 140001 and 1
        return {
            "name": "abc"[index],
            "image": rng.integers(0, 256, (20, 30, 3), dtype=np.uint8),
            "labels": (halves, halves * 70_000 + 70_001),
        }


def same(left, right):
    assert left.keys() == right.keys() and left["name"] == right["name"]
    np.testing.assert_array_equal(left["image"], right["image"])
    assert len(left["labels"]) == len(right["labels"])
    for x, y in zip(left["labels"], right["labels"], strict=True):
        assert x.dtype == y.dtype == np.int32
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("cache_bytes", [0, BYTES, 2**30])
def test_it_gives_what_the_source_gives(cache_bytes):
    resident = Resident(Counted(), cache_bytes=cache_bytes)
    assert len(resident) == 3
    for index in [0, 1, 2, 0, np.int64(1), 2]:
        same(resident[index], Counted()[index])


@pytest.mark.parametrize("index", [-1, 3])
def test_index_out_of_range(index):
    with pytest.raises(IndexError):
        Resident(Counted())[index]


@pytest.mark.parametrize("items", [0, 1, 2, 3])
def test_the_memory_is_bounded_and_keeps_what_came_first(items):
    source = Counted()
    resident = Resident(source, cache_bytes=items * BYTES + BYTES - 1)
    for _ in range(20):
        for index in range(3):
            resident[index]
    assert source.reads == [1] * items + [20] * (3 - items)


def test_threads_see_the_same_images():
    resident = Resident(Counted(), cache_bytes=BYTES)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        items = list(pool.map(resident.__getitem__, [0, 1, 2] * 20))
    for k, item in enumerate(items):
        same(item, Counted()[k % 3])
    assert resident._cached_bytes == BYTES


def test_larger_images_are_reduced_and_smaller_ones_stay():
    item, original = Resident(Counted(), 15)[0], Counted()[0]
    assert item["image"].shape == (10, 15, 3)
    np.testing.assert_array_equal(
        item["image"], transforms.resize_image(original["image"], (10, 15))
    )
    # Target column 7 lies half in each: an id wins over ignored, the lower id over the higher.
    for got, left, right in zip(item["labels"], (1, 140_001), (-1, 1), strict=True):
        middle = max(left, right) if right < 0 else min(left, right)
        np.testing.assert_array_equal(got, np.repeat([[left] * 7 + [middle] + [right] * 7], 10, 0))
    same(Resident(Counted(), 30)[1], Counted()[1])


def test_what_is_shared_cannot_be_written_to():
    resident = Resident(Counted())
    with pytest.raises(ValueError, match="read-only"):
        resident[0]["image"][:] = 0
    resident[0]["labels"][0][:] = 0
    same(resident[0], Counted()[0])


def test_pickle_leaves_the_memory_behind():
    resident = Resident(Counted(), 15)
    before = len(pickle.dumps(resident))
    item = resident[0]
    assert len(pickle.dumps(resident)) <= before + 8  # the source's own count
    same(pickle.loads(pickle.dumps(resident))[0], item)


def test_definition_names_source_and_size():
    class Other(Counted):
        definition = "other"

    marks = {
        pipeline.fingerprint({"a": each}, {"a": 1}, size=8, batch_size=1, seed=0)
        for each in (
            Counted(),
            Resident(Counted()),
            Resident(Counted(), 15),
            Resident(Counted(), 16),
            Resident(Other(), 16),
            Resident(Counted(), 16, cache_bytes=0),
        )
    }
    assert len(marks) == 5  # how much is kept in memory changes no picture
    assert Resident(Counted(), 15).definition == "counted max_side=15"
    assert "max_side=15" in repr(Resident(Counted(), 15))


@pytest.mark.parametrize("arguments", [{"max_side": 0}, {"cache_bytes": -1}])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Resident(Counted(), **arguments)
