"""Paths in a bucket: gs:// through epath, against a bucket in memory.

`Bucket` stands where gcsfs would: epath asks fsspec for 'gcs'. Like the real one it has no folders
of its own, an object appears whole when its file is closed, and renaming is copying and removing.
What it does not test is gcsfs itself, its network and its credentials.
"""

import io
import itertools
import json
import resource

import fsspec
import numpy as np
import pytest
from etils import epath
from etils.epath import backend
from fsspec.spec import AbstractFileSystem
from PIL import Image

from bitdiff_jax import files, writers
from bitdiff_jax.data import augment, folder, images, pipeline, specs
from bitdiff_jax.data.features import Cells
from bitdiff_jax.data.records import feature_cache
from bitdiff_jax.data.records import writer as records_writer
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.errors import InputError

ROOT = "gs://stand-in/data"


class _Upload(io.BytesIO):
    def __init__(self, path):
        super().__init__()
        self._path = path

    def close(self):
        if not self.closed:
            Bucket.objects[self._path] = self.getvalue()
        super().close()


class Bucket(AbstractFileSystem):
    protocol = ("gcs", "gs")
    cachable = False
    objects: dict[str, bytes] = {}  # noqa: RUF012
    calls: list[str] = []  # noqa: RUF012

    def ls(self, path, detail=True, **_):
        path = self._strip_protocol(path)
        self.calls.append(f"ls {path}")
        found = {}
        for name, data in self.objects.items():
            if name == path:
                found[name] = {"name": name, "size": len(data), "type": "file"}
            elif name.startswith(f"{path}/"):
                child, slash, _ = name[len(path) + 1 :].partition("/")
                kind = "directory" if slash else "file"
                full = f"{path}/{child}"
                size = 0 if slash else len(data)
                found[full] = {"name": full, "size": size, "type": kind}
        if not found:
            raise FileNotFoundError(path)
        return list(found.values()) if detail else list(found)

    def _open(self, path, mode="rb", **_):
        self.calls.append(f"{mode} {path}")
        if mode == "wb":
            return _Upload(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return io.BytesIO(self.objects[path])

    def _rm(self, path):
        if self.objects.pop(path, None) is None:
            raise FileNotFoundError(path)

    def cp_file(self, path1, path2, **_):
        self.objects[self._strip_protocol(path2)] = self.objects[self._strip_protocol(path1)]

    def mkdir(self, path, create_parents=True, **_):
        pass

    makedirs = mkdir


@pytest.fixture(autouse=True)
def bucket(monkeypatch):
    if not isinstance(epath.Path(ROOT)._backend, type(backend.fsspec_backend)):
        pytest.skip("epath reads buckets by TensorFlow here")
    monkeypatch.setattr(Bucket, "objects", {})
    monkeypatch.setattr(Bucket, "calls", [])
    filesystem = fsspec.filesystem
    monkeypatch.setattr(
        fsspec,
        "filesystem",
        lambda name, **options: Bucket() if name == "gcs" else filesystem(name, **options),
    )
    backend.fsspec_backend._get_filesystem.cache_clear()
    yield Bucket.objects
    backend.fsspec_backend._get_filesystem.cache_clear()


@pytest.fixture
def local(tmp_path, bucket):
    """A folder of pictures, which is in the bucket too."""
    root = tmp_path / "data"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(3):
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"{k}.png")
        ids = np.arange(600).reshape(20, 30) // (100 + k) + 1
        images.write_labels(root / "labels" / f"{k}.png", ids)
    (root / "splits.json").write_text(json.dumps({"train": ["2", "0"], "val": ["1"]}))
    upload(root, bucket)
    return root


def upload(root, bucket):
    for path in root.rglob("*"):
        if path.is_file():
            bucket[f"stand-in/{root.name}/{path.relative_to(root).as_posix()}"] = path.read_bytes()


def same(left, right):
    assert left.keys() == right.keys()
    for key, value in left.items():
        np.testing.assert_array_equal(value, right[key])


def test_a_folder(local):
    assert folder.FolderSource.splits(ROOT) == ("train", "val")
    here, there = (folder.FolderSource(root, "train") for root in (local, ROOT))
    assert there.names == ("2", "0") and there.definition == here.definition
    for k in range(2):
        same(there[k], here[k])
    assert any(call.startswith("rb stand-in/data/images") for call in Bucket.calls)


def test_mistakes_in_a_bucket_are_named(local, bucket):
    with pytest.raises(InputError, match="gs://stand-in/none/images: no such folder"):
        folder.FolderSource("gs://stand-in/none")
    with pytest.raises(InputError, match=r"gs://stand-in/data/splits.json: has no split 'test'"):
        folder.FolderSource(ROOT, "test")
    source = folder.FolderSource(ROOT)
    del bucket["stand-in/data/images/1.png"]
    with pytest.raises(InputError, match=r"gs://stand-in/data/images/1.png: no such file"):
        source[1]
    bucket["stand-in/data/images/2.png"] = b"\x89PNG"
    with pytest.raises(InputError, match=r"gs://stand-in/data/images/2.png: not an image"):
        source[2]


def test_training_batches_are_those_of_a_disk(local):
    def take(root):
        dataset = pipeline.train_dataset(
            {"data": Resident(folder.FolderSource(root), 24)},
            {"data": 1.0},
            size=16,
            batch_size=4,
            seed=0,
            augment=augment.Augmentation(),
        )
        return list(itertools.islice(dataset, 3))

    for here, there in zip(take(local), take(ROOT), strict=True):
        same(there, here)


def test_a_spec(local):
    source = specs.open_source(f"folder:{ROOT},split=val", image_size=16)
    assert source[0]["name"] == "1"
    ((name, resident),) = specs.open_sources(f"folder:{ROOT}", image_size=8)[0].items()
    assert "gs://" in name and resident[0]["image"].shape == (11, 16, 3)


@pytest.fixture
def records(local, tmp_path, bucket, monkeypatch):
    """Of two images, in the bucket."""
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path / "cache"))
    data = records_writer.Files("folder", str(local), {})
    records_writer.prepare(data, tmp_path / "records", size=16, workers=0)
    upload(tmp_path / "records", bucket)
    return RecordSource("gs://stand-in/records", "train")


def test_prepared_records(records, tmp_path):
    here, there = RecordSource(tmp_path / "records", "train"), records
    assert list(there.names) == list(here.names) == ["2", "0"]
    assert there.definition == here.definition
    for k in range(2):
        same(there[k], here[k])


def test_features_lie_beside_records(records):
    """Their shards have the names of the records', and so have the copies of both."""
    key = feature_cache.Key("means", 64, "ab" * 32)

    def cells_of(item):
        image = item["image"]
        return tuple(Cells.of(each, image.shape[:2]) for each in (image, image[:, ::-1]))

    records[0]
    feature_cache.write(records.root, key, cells_of, splits=["train"])
    found = feature_cache.beside(records, key)
    for index in range(2):
        image = records[index]["image"]
        cells = found[index]["features"].read(False)
        np.testing.assert_allclose(cells.values * cells.scale, image, atol=2)


def test_no_room_for_a_copy(records, tmp_path):
    """A limit on the size of files stands in for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**10, limits[1]))
    try:
        with pytest.raises(InputError, match=r"BITDIFF_CACHE_DIR .*File too large.*; free space"):
            records[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert records[0]["name"] == "2"


def test_label_maps_are_written(bucket):
    ids = np.arange(12).reshape(3, 4)
    images.write_labels("gs://stand-in/out/a.png", ids)
    np.testing.assert_array_equal(images.read_labels("gs://stand-in/out/a.png"), ids)
    assert list(bucket) == ["stand-in/out/a.png"]


def test_files_are_written_whole(bucket):
    out = files.make_folder("gs://stand-in/run", "--out")
    for data in (b"old and long", b"new"):
        files.write(out / "config.json", data)
        assert dict(bucket) == {"stand-in/run/config.json": data}


def test_metrics_and_samples_of_a_run(bucket):
    for part in range(2):
        run = writers.RunWriter("gs://stand-in/run")
        run.write_scalars(part, {"loss": 0.5})
        run.write_image(part, np.zeros((4, 5, 3), np.uint8))
        run.close()
        lines = bucket[f"stand-in/run/metrics/{part:04d}.jsonl"].decode().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [part]
    assert images.read_image("gs://stand-in/run/samples/00000001.png").shape == (4, 5, 3)
    assert not any(".tmp" in name for name in bucket)
