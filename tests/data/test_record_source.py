import concurrent.futures
import pickle
import shutil
import subprocess
import sys

import fsspec
import numpy as np
import pytest
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem

from bitdiff_jax.data import pipeline, readers
from bitdiff_jax.data.records import schema, writer
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.errors import InputError
from tests.data.records_fake import FakeData, content

DATA = FakeData({"train": 30, "val": 9})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("records")
    writer.prepare(DATA, out, size=32, image_format="png", workers=0)
    return out


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def same(got, want):
    assert got.keys() == want.keys() and got["name"] == want["name"]
    np.testing.assert_array_equal(got["image"], want["image"])
    for a, b in zip(got["labels"], want["labels"], strict=True):
        assert a.dtype == np.int32
        np.testing.assert_array_equal(a, b)


def refused(*parts, call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_items_are_the_readers_items_shrunk(whole):
    assert RecordSource.splits(whole) == ("train", "val")
    for split in ("train", "val"):
        source, reader = RecordSource(whole, split), DATA.open(split)
        assert len(source) == len(reader) and source.names == reader.names
        assert source.unlabelled == reader.unlabelled
        assert source.size == 32 and source.max_annotators == 3
        for index in range(len(source)):
            same(source[index], schema.shrink(reader[index], 32))


def test_without_a_split_all_of_them_one_after_the_other(whole):
    source = RecordSource(whole)
    assert len(source) == 39
    assert source.names == (*DATA.open("train").names, *DATA.open("val").names)
    same(source[33], RecordSource(whole, "val")[3])


@pytest.mark.parametrize("index", [-1, 39])
def test_index_out_of_range(whole, index):
    with pytest.raises(IndexError):
        RecordSource(whole)[index]


@pytest.mark.multiprocess
def test_tfds_reads_it_without_tensorflow(whole):
    code = f"""
import hashlib, io, sys
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
builder = tfds.builder_from_directory({str(whole)!r})
assert builder.info.full_name == "fake/1.0.0", builder.info.full_name
assert {{k: v.num_examples for k, v in builder.info.splits.items()}} == {{"train": 30, "val": 9}}
for split in ("train", "val", "train[10:20]"):
    for example in builder.as_data_source(split):
        image = np.asarray(Image.open(io.BytesIO(example["image"])))
        for data in example["labels"]:
            ids = np.asarray(Image.open(io.BytesIO(data)))
            assert ids.shape[:2] == image.shape[:2]
        print(split, example["name"].decode(), example["height"], example["width"], image.sum())
assert "bitdiff_jax" not in sys.modules and "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 30 + 9 + 10
    for place, (split, name, height, width, total) in enumerate(lines[:39]):
        item = RecordSource(whole)[place]
        native = DATA.open(split)[place % 30]
        assert name == item["name"] and int(total) == int(item["image"].astype(np.int64).sum())
        assert native["image"].shape == (int(height), int(width), 3)
    assert [line[1] for line in lines[39:]] == [f"train/{k:03d}" for k in range(10, 20)]


def test_copies_for_other_processes_open_files_of_their_own(whole):
    source = RecordSource(whole, "train")
    small = len(pickle.dumps(source))
    item, _ = source[7], source.names
    assert len(pickle.dumps(source)) == small < 3000
    same(pickle.loads(pickle.dumps(source))[7], item)


def test_threads_share_it(whole):
    source = RecordSource(whole)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        items = list(pool.map(source.__getitem__, [*range(39)] * 5))
    plain = RecordSource(whole)
    for index, item in enumerate(items):
        same(item, plain[index % 39])


@pytest.mark.slow
def test_what_it_is_called_changes_with_the_data_alone(whole, root, tmp_path):
    def name(folder, split="train"):
        source = RecordSource(folder, split)
        return pipeline.fingerprint({"a": source}, {"a": 1}, size=8, batch_size=2, seed=0)

    def other(place, data=DATA, **arguments):
        writer.prepare(
            data, tmp_path / place, **{"size": 32, "image_format": "png", "workers": 0, **arguments}
        )
        return name(tmp_path / place)

    assert name(whole) == name(root) == other("same")
    others = [other("size", size=24), other("format", image_format="jpeg")]
    others += [other("data", FakeData({"train": 30}, seed=1)), name(whole, "val")]
    # Of the same names and sizes, one pixel differs.
    others.append(other("pixel", _OnePixel({"train": 30})))
    assert len({name(whole), *others}) == 6
    assert str(whole) not in RecordSource(whole).definition
    assert "30 pictures, size 32" in repr(RecordSource(whole, "train"))


class _OnePixel(FakeData):
    def open(self, split):
        reader = super().open(split)
        read = type(reader).__getitem__

        class Other(type(reader)):
            def __getitem__(self, index):
                item = read(self, index)
                if index == 17:
                    item["labels"][0][0, 0] += 1
                return item

        reader.__class__ = Other
        return reader


def test_names_are_in_the_records_too(root):
    expected = RecordSource(root).names
    shutil.rmtree(root / "progress")
    assert RecordSource(root).names == expected


def test_it_is_a_reader_like_others(whole):
    assert readers.splits("records", whole) == ("train", "val")
    same(readers.make("records", whole, "val")[2], RecordSource(whole, "val")[2])


def test_faults_are_named(root, tmp_path):
    refused("no split 'tst'", "train, val", call=lambda: RecordSource(root, "tst"))
    refused("bitdiff prepare", "records.json", call=lambda: RecordSource(tmp_path / "none"))
    shard = root / "fake-val.array_record-00000-of-00002"
    source = RecordSource(root, "val")
    data = shard.read_bytes()
    place = data.index(b"IDAT")
    shard.write_bytes(data[:place] + bytes(99) + data[place + 99 :])
    faults = 0
    for index in range(4):
        try:
            source[index]
        except InputError as error:
            faults += 1
            assert shard.name in str(error) and "\n" not in str(error)
    assert faults == 1
    shard.write_bytes(data[:1000])
    refused(shard.name, call=lambda: RecordSource(root, "val")[0])
    shard.unlink()
    refused(shard.name, "no such file", call=lambda: RecordSource(root, "val")[0])
    same(RecordSource(root, "val")[8], source[8])
    (root / "records.json").write_text("{")
    refused("damaged", call=lambda: RecordSource(root))
    (root / "records.json").write_text('{"version": 99}')
    refused("version 99", call=lambda: RecordSource(root))


class _Bucket(MemoryFileSystem):
    """A store of objects in memory."""

    protocol = ("gcs", "gs")
    store = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012


def test_a_bucket(whole, tmp_path, monkeypatch):
    disk = fsspec.filesystem("file")
    monkeypatch.setattr(
        backend.fsspec_backend, "fs", lambda path: _Bucket() if "://" in str(path) else disk
    )
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path / "cache"))
    out = "gs://bucket/sets/fake"

    def prepare(**more):
        writer.prepare(DATA, out, size=32, image_format="png", workers=0, **more)

    def stop(done, total, there):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(report=stop)
    there = []
    prepare(report=lambda *numbers: there.append(numbers))
    assert there[0][2] > 8
    stored = {
        path.partition("bucket/sets/fake/")[2]: file.getvalue()
        for path, file in _Bucket.store.items()
    }
    del stored["summary.txt"]
    assert stored == content(whole)
    shutil.rmtree(tmp_path / "cache")  # the contact sheet's
    source = RecordSource(out, "val")
    assert not (tmp_path / "cache").exists()
    same(source[8], RecordSource(whole, "val")[8])
    assert len(list((tmp_path / "cache").rglob("*array_record*"))) == 1
    assert source.names == RecordSource(whole, "val").names
