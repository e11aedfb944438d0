import itertools
import pickle

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
    assert told[-1] == (19, 19)
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
