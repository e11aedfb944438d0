import itertools
import pickle
import zlib

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import augment, folder, images, pipeline
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.errors import InputError
from bitdiff_jax.scenes import SceneSource

AUGMENT = augment.Augmentation()


class Flat:
    """Pictures of one colour; annotator k of picture i has k + 2 bands."""

    def __init__(self, name, length, annotators=1, shape=(12, 16)):
        self.name, self.length, self.annotators, self.shape = name, length, annotators, shape

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        bands = np.arange(self.shape[1]) * np.arange(2, self.annotators + 2)[:, None]
        maps = np.repeat((bands // self.shape[1])[:, None], self.shape[0], axis=1)
        return {
            "name": f"{self.name}{index}",
            "image": np.full((*self.shape, 3), index + 1, np.uint8),
            "labels": tuple(maps.astype(np.int32)),
        }


def take(count, sources=None, weights=None, **options):
    sources = sources or {"a": Flat("a", 10, 3), "b": Flat("b", 7)}
    weights = weights or dict.fromkeys(sources, 1.0)
    options = {"size": 16, "batch_size": 12, "seed": 3, "augment": AUGMENT} | options
    iterator = iter(pipeline.train_dataset(sources, weights, **options))
    batches = list(itertools.islice(iterator, count))
    if hasattr(iterator, "close"):
        iterator.close()
    return batches


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[k], right[k]) for k in left)


def test_batches_have_the_agreed_form():
    (batch,) = take(1)
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == {
        "image": ((12, 16, 16, 3), np.uint8),
        "labels": ((12, 16, 16), np.int32),
        "size": ((12, 2), np.int32),
        "image_id": ((12,), np.uint32),
    }
    for labels, (height, width) in zip(batch["labels"], batch["size"], strict=True):
        assert (labels[height:] == -1).all() and (labels[:, width:] == -1).all()
        ids = np.unique(labels[labels >= 0])
        np.testing.assert_array_equal(ids, np.arange(len(ids)))


def test_a_function_of_the_seed():
    first, again, other = take(4), take(4), take(4, seed=4)
    assert all(map(same, first, again))
    assert not any(map(same, first, other))
    assert not any(same(x, y) for x, y in itertools.combinations(first, 2))


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_threads_change_nothing(threads):
    assert all(map(same, take(5), take(5, num_threads=threads)))


@pytest.mark.parametrize("count", [2, 3, 12])
def test_processes_share_the_global_batch(count):
    whole = take(4)
    parts = [take(4, process_index=p, process_count=count) for p in range(count)]
    for step, batch in enumerate(whole):
        for p in range(count):
            rows = slice(p * 12 // count, (p + 1) * 12 // count)
            assert same({key: value[rows] for key, value in batch.items()}, parts[p][step])


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 7])
def test_resuming_gives_the_same_batches(step):
    assert all(map(same, take(10)[step:], take(10 - step, start_step=step)))


def test_a_late_start_is_as_quick():
    (late,) = take(1, start_step=10_000_000)
    assert late["image"].shape == (12, 16, 16, 3)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    """Sets of 5 and 3 pictures on a disk, shrunk and kept in memory, and their weights."""
    sources = {}
    for name, count in (("first", 5), ("second", 3)):
        root = tmp_path_factory.mktemp(name)
        (root / "images").mkdir()
        (root / "labels").mkdir()
        for k in range(count):
            shade = np.full((12, 16, 3), k * 20 + count, np.uint8)
            Image.fromarray(shade).save(root / "images" / f"{name}{k}.png")
            for annotator in range(2):
                ids = np.arange(192).reshape(12, 16) // (40 + annotator) + 1
                images.write_labels(root / "labels" / f"{name}{k}_{annotator}.png", ids)
        sources[name] = Resident(folder.FolderSource(root), 14)
    return {"sources": sources, "weights": {"first": 2.0, "second": 1.0}, "batch_size": 6}


@pytest.fixture(scope="module")
def unbroken(mixture):
    return take(20, **mixture)


@pytest.mark.multiprocess
def test_workers_change_nothing(mixture, unbroken):
    assert all(map(same, unbroken, take(20, **mixture, num_workers=2)))


@pytest.mark.multiprocess
def test_two_processes_with_workers_go_on_after_a_stop(mixture, unbroken):
    """The second process; that the first has the other rows is tested without workers."""
    part = take(
        4, **mixture, process_index=1, process_count=2, num_workers=2, start_step=3, num_threads=1
    )
    for got, batch in zip(part, unbroken[3:7], strict=True):
        assert same(got, {key: value[3:] for key, value in batch.items()})


@pytest.mark.parametrize("start", [0, 5])
def test_two_processes_share_the_batches_of_a_mixture(mixture, unbroken, start):
    for p in range(2):
        part = take(4, **mixture, process_index=p, process_count=2, start_step=start)
        for got, batch in zip(part, unbroken[start : start + 4], strict=True):
            assert same(got, {key: value[3 * p : 3 * p + 3] for key, value in batch.items()})


def test_a_image_in_memory_is_augmented_anew(mixture, unbroken):
    """What is kept is the picture, not what was made of it; nothing writes into it."""
    assert all(map(same, unbroken[:4], take(4, **mixture)))
    seen = names(unbroken, mixture["sources"])
    rows = [row for batch in unbroken for row in batch["image"]]
    again = [rows[k] for k, each in enumerate(seen) if each == seen[0]]
    assert len(again) > 2 and not any((x == again[0]).all() for x in again[1:])


def names(batches, sources):
    known = {zlib.crc32(source[i]["name"].encode()): (key, i)
             for key, source in sources.items() for i in range(len(source))}  # fmt: skip
    return [known[int(value)] for batch in batches for value in batch["image_id"]]


def test_each_epoch_visits_each_image_once_in_a_new_order():
    sources = {"a": Flat("a", 12)}
    seen = names(take(6, sources), sources)
    epochs = [tuple(seen[k : k + 12]) for k in range(0, 72, 12)]
    assert all(len(set(epoch)) == 12 for epoch in epochs)
    assert len(set(epochs)) == 6


def test_each_set_of_a_mixture_has_epochs_of_its_own(mixture, unbroken):
    """Every picture once an epoch, in another order each time, whatever the weights."""
    seen = names(unbroken, mixture["sources"])
    for name, length, num_epochs in (("first", 5, 16), ("second", 3, 13)):
        visits = [i for key, i in seen if key == name]
        starts = range(0, len(visits) - length + 1, length)
        epochs = [tuple(visits[k : k + length]) for k in starts]
        assert len(epochs) == num_epochs
        assert all(sorted(epoch) == list(range(length)) for epoch in epochs)
        assert len(set(epochs)) > (4 if length == 3 else 12)  # of 6 and of 120 orders


@pytest.mark.slow
def test_sets_are_mixed_by_weight_not_by_length():
    sources = {"a": Flat("a", 3), "b": Flat("b", 200), "c": Flat("c", 50)}
    seen = names(take(40, sources, {"a": 2, "b": 1, "c": 0}), sources)
    share = np.mean([key == "a" for key, _ in seen])
    assert abs(share - 2 / 3) < 0.01
    assert {key for key, _ in seen} == {"a", "b"}
    assert {i for key, i in seen if key == "a"} == {0, 1, 2}
    assert len({i for key, i in seen if key == "b"}) > 150


def test_another_set_does_not_reorder_the_first():
    alone = {"a": Flat("a", 30)}
    both = {"b": Flat("b", 4), "a": Flat("a", 30)}
    mixed = [i for key, i in names(take(4, both), both) if key == "a"]
    assert mixed == [i for _, i in names(take(2, alone), alone)]


def test_every_annotator_is_drawn():
    (batch,) = take(1, {"a": Flat("a", 1, 3)}, batch_size=300, augment=None)
    counts = np.bincount(batch["labels"].max(axis=(1, 2)), minlength=4)
    assert counts[0] == 0 and (counts[1:] > 60).all()  # 100 each, sd 8


def test_released_padding_reaches_the_batch():
    source = {"a": Flat("a", 2)}
    for change in (None, augment.as_released):
        (batch,) = take(1, source, augment=change, label_padding=0, label_method="nearest")
        assert batch["size"].tolist() == [[12, 16]] * 12
        assert (batch["labels"][:, 12:] == 0).all() and (batch["labels"] >= 0).all()


def test_mistakes_are_named():
    source = {"a": Flat("a", 3)}
    cases = [
        ({"weights": {"b": 1}}, "'b'"),
        ({"weights": {"a": -1}}, "-1"),
        ({"weights": {"a": float("nan")}}, "nan"),
        ({"weights": {"a": 0}}, "above 0"),
        ({"sources": {"a": Flat("a", 0)}}, "'a' is empty"),
        ({"process_count": 5}, "use 10"),
        ({"process_index": 2, "process_count": 2}, "process_index=2"),
        ({"size": 0}, "size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"start_step": -1}, "start_step=-1"),
    ]
    for change, word in cases:
        with pytest.raises(InputError) as error:
            take(1, **({"sources": source} | change))
        assert word in str(error.value) and "\n" not in str(error.value)


def test_evaluation_visits_all_in_order_and_marks_the_rest():
    source = Flat("a", 10, 2)
    batches = list(pipeline.eval_batches(source, size=16, batch_size=4))
    assert [batch["image"].shape for batch in batches] == [(4, 16, 16, 3)] * 3
    joined = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    np.testing.assert_array_equal(joined["row_mask"], np.arange(12) < 10)
    np.testing.assert_array_equal(joined["index"], [*range(10), 9, 9])
    assert joined["index"].dtype == np.int32 and joined["row_mask"].dtype == bool
    np.testing.assert_array_equal(joined["image"][:10, 0, 0, 0], np.arange(10) + 1)
    np.testing.assert_array_equal(joined["labels"].max(axis=(1, 2)), 1)
    assert joined["image_id"][3] == zlib.crc32(b"a3")
    again = list(pipeline.eval_batches(source, size=16, batch_size=4, num_threads=0))
    assert all(map(same, batches, again))


def test_evaluation_on_several_processes():
    source = Flat("a", 10)
    whole = list(pipeline.eval_batches(source, size=16, batch_size=4))
    for p in range(2):
        options = {"process_index": p, "process_count": 2}
        part = list(pipeline.eval_batches(source, size=16, batch_size=4, **options))
        assert len(part) == len(whole)
        for got, batch in zip(part, whole, strict=True):
            assert same(got, {key: value[2 * p : 2 * p + 2] for key, value in batch.items()})


def test_evaluation_with_all_annotators():
    (batch,) = pipeline.eval_batches(Flat("a", 2, 3), size=16, batch_size=2, num_annotators=4)
    assert batch["annotator_labels"].shape == (2, 4, 16, 16)
    assert batch["annotator_mask"].tolist() == [[True, True, True, False]] * 2
    np.testing.assert_array_equal(batch["annotator_labels"].max(axis=(2, 3)), [[1, 2, 3, -1]] * 2)
    np.testing.assert_array_equal(batch["labels"], batch["annotator_labels"][:, 0])


def test_nothing_to_evaluate():
    with pytest.raises(InputError, match="empty"):
        pipeline.eval_batches(Flat("a", 0), size=16, batch_size=2)


def test_fingerprint_tells_pipelines_apart():
    sources = {"a": Flat("a", 5), "b": Flat("b", 7)}
    base = {"weights": {"a": 1, "b": 2}, "size": 64, "batch_size": 8, "seed": 0, "augment": AUGMENT}
    mark = pipeline.fingerprint(sources, **base)
    assert len(mark) == 12 and int(mark, 16) >= 0
    turned = dict(reversed(sources.items()))
    assert pipeline.fingerprint(turned, **base | {"weights": {"b": 2.0, "a": 1.0}}) == mark
    assert (
        pipeline.fingerprint(sources, **base | {"augment": pickle.loads(pickle.dumps(AUGMENT))})
        == mark
    )
    changes = [
        {"weights": {"a": 1, "b": 3}},
        {"size": 128},
        {"batch_size": 16},
        {"seed": 1},
        {"augment": augment.Augmentation(flip=0.4)},
        {"augment": augment.as_released},
        {"augment": None},
        {"label_padding": 0},
        {"label_method": "nearest"},
    ]
    marks = {pipeline.fingerprint(sources, **base | change) for change in changes}
    marks.add(pipeline.fingerprint(sources | {"a": Flat("a", 6)}, **base))
    assert len(marks | {mark}) == len(changes) + 2
    scenes = [SceneSource(level=level, size=16, length=5) for level in (0, 0, 1)]
    same, again, other = (pipeline.fingerprint({"a": s, "b": s}, **base) for s in scenes)
    assert same == again != other


@pytest.mark.slow
def test_real_images(real_data):
    sources = {
        "photos": Resident(folder.FolderSource(real_data / "bsds500", "train"), 160),
        "nuclei": Resident(folder.FolderSource(real_data / "dsb2018"), 160),
    }
    batches = take(3, sources, {"photos": 3, "nuclei": 1}, size=64, batch_size=16)
    labels = np.concatenate([batch["labels"] for batch in batches])
    sizes = np.concatenate([batch["size"] for batch in batches])
    assert (sizes.max(axis=1) == 64).all()
    # Photos are labelled throughout: what is ignored is padding, rotated-in corners and slivers.
    inside = sum((ids[:h, :w] >= 0).sum() for ids, (h, w) in zip(labels, sizes, strict=True))
    assert inside / sizes.prod(axis=1).sum() > 0.95
    assert labels.max() > 20
