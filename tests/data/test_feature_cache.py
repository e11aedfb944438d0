import fcntl
import itertools
import os
import pickle
import resource

import numpy as np
import pytest

from bitdiff_jax import feature_grids
from bitdiff_jax.data import augment, pipeline
from bitdiff_jax.data.features import Cells, Features
from bitdiff_jax.data.image_inputs import ImageInputs, encoder_input
from bitdiff_jax.data.records import feature_cache, writer
from bitdiff_jax.data.records.feature_cache import FeatureSource, Key
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.errors import InputError
from bitdiff_jax.feature_grids import WHOLE
from tests.data.records_fake import FakeData
from tests.own_encoder import Means

DATA = FakeData({"train": 10, "val": 9})
ENCODER = Means(image_size=64)
PARAMS = {"gain": np.float32([1, 2, 3])}
KEY = Key("means", 64, "ab" * 32)


def cells(image):
    given = encoder_input(image, ENCODER.image_size)
    size = given["encoder_size"]
    features = ENCODER.apply(PARAMS, given["encoder_image"][None], size[None])
    return Cells.of(np.asarray(features[0]), (size[0] / 4, size[1] / 4))


def cells_of(item):
    return cells(item["image"]), cells(item["image"][:, ::-1])


@pytest.fixture
def root(tmp_path):
    writer.prepare(DATA, tmp_path / "records", size=32, image_format="png", workers=0)
    return tmp_path / "records"


def test_cells_are_kept_to_a_part_of_each_channels_range():
    features = np.random.default_rng(0).normal(size=(9, 12, 4)) * [1, 10, 0.1, 0]
    found = Cells.of(features, (8.5, 12))
    assert found.values.shape == (9, 12, 4) and found.values.dtype == np.int8
    np.testing.assert_array_less(
        np.abs(found.values * found.scale - features).max((0, 1)),
        np.abs(features).max((0, 1)) / 250 + 1e-9,
    )


@pytest.mark.slow
def test_items_have_the_features_of_their_images_and_of_the_mirror_images(root):
    told = []
    feature_cache.write(root, KEY, cells_of, report=lambda *numbers: told.append(numbers))
    assert told[0] == (0, 19, 0) and told[-1] == (19, 19, 0)
    for split in ("train", "val", None):
        records = RecordSource(root, split)
        source = pickle.loads(pickle.dumps(FeatureSource(records, records, KEY)))
        assert len(source) == len(records) and KEY.folder in source.definition
        for index in (0, len(source) - 1):
            item = source[index]
            for mirrored, wanted in zip((False, True), cells_of(records[index]), strict=True):
                found = item["features"].read(mirrored)
                assert found.extent == wanted.extent
                np.testing.assert_array_equal(found.values, wanted.values)
                np.testing.assert_array_equal(found.scale, wanted.scale)


def test_features_are_used_where_they_are(root):
    records = RecordSource(root, "train")
    assert feature_cache.beside(records, KEY) is records
    feature_cache.write(root, KEY, cells_of)
    assert "features" in feature_cache.beside(records, KEY)[0]
    other = Key("means", 32, KEY.weights)
    assert feature_cache.beside(records, other) is records
    assert feature_cache.beside(Smooth(), KEY).__class__ is Smooth


def test_an_interrupted_run_goes_on_where_it_was(root):
    done = []

    def counted(item):
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(item["name"])
        return cells_of(item)

    with pytest.raises(KeyboardInterrupt):
        feature_cache.write(root, KEY, counted)
    records = RecordSource(root, "train")
    with pytest.raises(InputError, match="unfinished; run `bitdiff prepare"):
        FeatureSource(records, records, KEY)
    again = []
    feature_cache.write(root, KEY, lambda item: again.append(item["name"]) or cells_of(item))
    assert len(again) < 19 and set(done) | set(again) == {
        *records.names,
        *RecordSource(root, "val").names,
    }
    assert len(FeatureSource(records, records, KEY)) == 10


def test_a_folder_at_home(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    found = feature_cache.write("~/records", KEY, cells_of, splits=["val"])
    assert found == str(root / "features" / KEY.folder)


def features_of(root):
    folder = root / "features" / KEY.folder
    return folder, {path.name: path.read_bytes() for path in sorted(folder.glob("*array_record*"))}


def test_without_room_it_is_told_in_one_line_and_nothing_half_written_stays(root):
    """A limit on the size of files stands in for a full disk: the write fails half-way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, limits[1]))  # a shard has 64 KiB at least
    try:
        with pytest.raises(
            InputError, match=r"cannot be written \(.*File too large.*\); free"
        ) as e:
            feature_cache.write(root, KEY, cells_of)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(e.value) and "finished shards are kept" in str(e.value)
    assert [path.name for path in (root / "features" / KEY.folder).iterdir()] == ["features.json"]
    feature_cache.write(root, KEY, cells_of)
    assert len(FeatureSource(RecordSource(root), RecordSource(root), KEY)) == 19


def test_what_a_killed_process_left_is_removed(root):
    feature_cache.write(root, KEY, cells_of, splits=["val"])
    folder, _ = features_of(root)
    for name in (".fake-train.array_record-00000-of-00002.17005.tmp", ".features.json.17.tmp"):
        (folder / name).write_bytes(b"half")
    (folder / "notes.tmp").touch()
    feature_cache.write(root, KEY, cells_of)
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == ["notes.tmp"]


def test_two_at_a_time_are_refused(root):
    feature_cache.write(root, KEY, cells_of)
    lock = os.open(root / "features" / KEY.folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another process is writing"):
        feature_cache.write(root, KEY, cells_of)
    os.close(lock)


def cut_short(data):
    return data[:-100]


def flipped(data):
    """With one bit of the first records inverted."""
    return data[:3000] + bytes([data[3000] ^ 1]) + data[3001:]


@pytest.mark.parametrize("damage", [cut_short, flipped, lambda data: b""])
def test_a_damaged_shard_is_made_again(root, damage):
    feature_cache.write(root, KEY, cells_of)
    folder, whole = features_of(root)
    name = min(name for name in whole if "train" in name)
    (folder / name).write_bytes(damage(whole[name]))
    made, lines, told = [], [], []
    feature_cache.write(
        root, KEY, lambda item: made.append(item["name"]) or cells_of(item),
        report=lambda *numbers: told.append(numbers), warn=lines.append,
    )  # fmt: skip
    assert made == [f"train/{k:03d}" for k in range(5)]
    assert len(lines) == 1 and f"{name}: is damaged (" in lines[0] and "\n" not in lines[0]
    assert told == [(done, 19, 14) for done in range(14, 20)]
    assert features_of(root)[1] == whole


def test_a_shard_that_lacks_an_image_is_made_again(root):
    feature_cache.write(root, KEY, cells_of)
    folder, whole = features_of(root)
    names = [name for name in whole if "val" in name]
    assert len(names) == 2
    (folder / names[1]).write_bytes(whole[names[0]])  # 4 records where 5 belong
    lines = []
    feature_cache.write(root, KEY, cells_of, warn=lines.append)
    assert len(lines) == 1 and "it has 4 records, not 5" in lines[0]
    assert features_of(root)[1] == whole


def test_features_of_other_weights_or_records_are_refused(root, tmp_path):
    feature_cache.write(root, KEY, cells_of, splits=["train"])
    records = RecordSource(root, "train")
    for other in (Key("means", 64, "cd" * 32), Key("means", 32, KEY.weights)):
        with pytest.raises(InputError, match=f"there are {KEY.folder}.*bitdiff prepare --encoder"):
            FeatureSource(records, records, other)
    with pytest.raises(InputError, match="split 'val' are not those"):
        FeatureSource(RecordSource(root), RecordSource(root), KEY)
    index = root / "features" / KEY.folder / feature_cache.INDEX
    index.write_text(index.read_text().replace(records.digest, "0" * 64))
    with pytest.raises(InputError, match="are not those of its records"):
        FeatureSource(records, records, KEY)
    with pytest.raises(InputError, match="are of other records; remove the folder"):
        feature_cache.write(root, KEY, cells_of, splits=["train"])
    index.write_text("{")
    with pytest.raises(InputError, match="is damaged; remove the folder"):
        FeatureSource(records, records, KEY)


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b[:9], lambda b: b""])
def test_a_damaged_record_is_told(damage):
    record = feature_cache.encode(cells_of(DATA.open("train")[0]))
    assert feature_cache.decode(record, True).values.any()
    with pytest.raises(InputError, match="damaged"):
        feature_cache.decode(damage(record), False)


def batch_of(source, inputs, augmentation, seed=1):
    dataset = pipeline.train_dataset(
        {"a": source}, {"a": 1.0}, size=16, batch_size=8, seed=seed, augment=augmentation,
        inputs=inputs, num_threads=0,
    )  # fmt: skip
    return next(itertools.islice(iter(dataset), 1))


class Smooth:
    """Images of slow waves, with the features of each."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        place = np.stack(np.meshgrid(*(np.arange(n) / 100 for n in (70, 90)), indexing="ij"), -1)
        image = 127 + 120 * np.sin(place @ rng.uniform(-3, 3, (2, 3)) + rng.uniform(0, 6, 3))
        item = {"name": str(index), "image": image.astype(np.uint8)}
        labels = (image[..., 0] > 127).astype(np.int32)
        both = cells_of(item)
        return {**item, "labels": (labels,), "features": Features(lambda mirrored: both[mirrored])}


def test_crops_read_the_features_of_what_they_show():
    """Against the same encoder run on the crop itself."""
    crops = augment.Augmentation(crop=1.0, min_side=0.5, rotate=0, colour=0, grey=0)
    cached = batch_of(Smooth(), ImageInputs(2, grid=16, most_cells=16), crops)
    in_step = batch_of(Smooth(), ImageInputs(2, encoder_size=64), crops)
    assert cached["image"].shape == (8, 32, 32, 3) and cached["labels"].shape == (8, 16, 16)
    np.testing.assert_array_equal(cached["labels"], in_step["labels"])
    np.testing.assert_array_equal(cached["image"], in_step["image"])
    cells = np.asarray(ENCODER.apply(PARAMS, in_step["encoder_image"], in_step["encoder_size"]))
    for row in range(8):
        height, width = cached["size"][row]
        extent = in_step["encoder_size"][row] / ENCODER.stride
        own = feature_grids.resample(np, cells[row], extent, WHOLE, (height, width), 16, 16)
        # The colours of the crop; the fourth channel is the place in the whole image.
        values = cached["cell_values"][row] * cached["cell_scale"][row]
        read = np.einsum(
            "gh,hwc,kw->gkc", cached["cell_rows"][row], values, cached["cell_columns"][row]
        )
        error = np.abs(read - own)[: height - 1, : width - 1, :3]
        assert error.mean() < 0.02 and error.max() < 0.15


def test_a_rotation_has_no_features(root):
    feature_cache.write(root, KEY, cells_of)
    records = RecordSource(root, "train")
    turned = augment.Augmentation(rotate=1.0)
    with pytest.raises(Exception, match=r"config.data.augment: .* use geometry or none"):
        batch_of(FeatureSource(records, records, KEY), ImageInputs(grid=16), turned)
    with pytest.raises(Exception, match="no features of its images"):
        batch_of(records, ImageInputs(grid=16), None)
