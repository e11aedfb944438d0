import json
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from bitdiff_jax.data import readers
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Two versions, two configs and features of every usable kind."""
    root = tmp_path_factory.mktemp("data_dir")
    wide = layouts.quarters(ids=(0, 70000, 65535, 2**31 - 1))
    small = layouts.quarters(ids=(0, 1, 2, 300))
    features = {
        "photo": tfds.features.Tensor(shape=(12, 17, 3), dtype=np.uint8),
        "grey": tfds.features.Image(shape=(None, None, 1)),
        "wide": tfds.features.Tensor(shape=(12, 17), dtype=np.int64),
        "deep": tfds.features.Image(shape=(None, None, 1), dtype=np.uint16),
        "flat": tfds.features.LabeledImage(labels=4, shape=(None, None, 1)),
        "packed": tfds.features.Tensor(shape=(None, None, 1), dtype=np.uint8, encoding="zlib"),
        "class": tfds.features.ClassLabel(num_classes=2),
        "share": tfds.features.Tensor(shape=(12, 17), dtype=np.float32),
    }
    example = {
        "photo": layouts.make_image(4),
        "grey": layouts.png(layouts.make_image(4)[..., 0]),
        "wide": wide.astype(np.int64),
        "deep": layouts.png(small.astype(np.uint16)),
        "flat": layouts.png(layouts.quarters(ids=(0, 1, 2, 3)).astype(np.uint8)),
        "packed": layouts.quarters(ids=(0, 1, 2, 3)).astype(np.uint8)[..., None],
        "class": 1,
        "share": np.zeros((12, 17), np.float32),
    }
    for version in ("1.9.0", "1.10.0"):
        count = 1 + (version == "1.10.0")
        layouts.write_tfds(
            root, {"train": [example] * count}, features, name="scenes", version=version
        )
    for config in ("indoor", "outdoor"):
        layouts.write_tfds(
            root, {"train": [example]}, features, name="places", config=config, version="2.0.0"
        )
    return root, {"wide": wide, "deep": small, "flat": layouts.quarters(ids=(0, 1, 2, 3))}


def make(kind, root, **options):
    return readers.make(kind, root, **{"image": "photo", "labels": "wide"} | options)


def test_features_of_every_kind(several):
    root, truth = several
    truth = {**truth, "packed": truth["flat"]}
    for labels, ids in truth.items():
        for image in ("photo", "grey"):
            item = make("tfds:scenes", root, labels=labels, image=image, zero="region")[0]
            np.testing.assert_array_equal(item["labels"][0], ids)
            assert item["labels"][0].dtype == np.int32
            expected = layouts.make_image(4)
            if image == "grey":
                expected = np.repeat(expected[..., :1], 3, -1)
            np.testing.assert_array_equal(item["image"], expected)
        ignored = make("tfds:scenes", root, labels=labels)[0]["labels"][0]
        np.testing.assert_array_equal(ignored, np.where(ids == 0, -1, ids))


def test_names_versions_and_configs(several):
    root, _ = several
    assert len(make("tfds:scenes", root)) == 2  # 1.10.0 is above 1.9.0
    assert len(make("tfds:scenes:1.9.0", root)) == 1
    assert len(make("tfds", root, name="scenes")) == 2
    assert len(make("tfds", root / "scenes" / "1.9.0")) == 1
    reader = make("tfds:places/indoor", root)
    assert "places/indoor/2.0.0" in reader.definition
    assert readers.splits("tfds:places/indoor:2.0.0", root) == ("train",)
    for kind, words in (
        ("tfds", "places, scenes"),
        ("tfds:places", "indoor, outdoor"),
        ("tfds:scenes:7.0.0", "7.0.0"),
        ("tfds:absent", "absent"),
    ):
        with pytest.raises(InputError, match=words) as error:
            make(kind, root)
        assert "\n" not in str(error.value)


def test_features_that_do_not_fit_are_named(several):
    root, _ = several
    with pytest.raises(InputError, match=r"no feature 'masks'; it has: .*wide"):
        make("tfds:scenes", root, labels="masks")
    for options, words in (
        ({"labels": "share"}, "float32"),
        ({"labels": "class"}, "whole numbers"),
        ({"labels": "photo"}, "whole numbers"),
        ({"image": "wide"}, "uint8"),
        ({"image": "deep"}, "mode I;16"),
    ):
        with pytest.raises(InputError, match=words) as error:
            make("tfds:scenes", root, **options)[0]
        assert "example 0 of train" in str(error.value) and "\n" not in str(error.value)


def test_damage_is_named(tmp_path):
    photo = np.asarray(Image.new("RGB", (17, 12)))
    whole = {"image": layouts.png(photo), "segmentation_mask": layouts.png(photo[..., 0])}
    broken = [
        {"image": whole["image"][:40]},
        {"segmentation_mask": b"GIF89a"},
        {"segmentation_mask": layouts.png(np.zeros((3, 4), np.uint8))},
        {"segmentation_mask": layouts.png(photo)},
    ]
    examples = [{**whole, "label": 0, **each} for each in broken]
    folder = layouts.write_tfds(tmp_path, {"train": [*examples, {**whole, "label": 0}]})
    reader = readers.make("tfds:pets", tmp_path)
    for k, words in enumerate(("image", "no image", "4x3", "RGB")):
        with pytest.raises(InputError, match=words) as error:
            reader[k]
        assert f"example {k} of train" in str(error.value) and "\n" not in str(error.value)
    assert (reader[4]["labels"][0] == -1).all()
    (shard,) = folder.glob("*.array_record*")
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        readers.make("tfds:pets", tmp_path)[0]
    for file, text in (("dataset_info.json", "{"), ("features.json", "[]")):
        kept = (folder / file).read_text()
        (folder / file).write_text(text)
        with pytest.raises(InputError, match="description") as error:
            readers.make("tfds:pets", tmp_path)
        assert "\n" not in str(error.value)
        (folder / file).write_text(kept)


def test_other_formats_are_refused_with_a_way_out(tmp_path):
    layouts.tfds(tmp_path)
    folder = tmp_path / "pets" / "1.0.0"
    info = json.loads((folder / "dataset_info.json").read_text())
    info["fileFormat"] = "tfrecord"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    for shard in folder.glob("*.array_record*"):
        shard.rename(str(shard).replace("array_record", "tfrecord"))
    with pytest.raises(InputError, match=r"tfrecord, .*--out_file_format=array_record"):
        readers.make("tfds:pets", tmp_path)


def test_neither_tensorflow_nor_opencv_is_loaded_to_read(several):
    opencv = "cv2" in sys.modules  # another test may want it
    item = make("tfds:scenes", several[0], image="grey", labels="deep")[0]
    assert item["image"].shape == (12, 17, 3) and "tensorflow" not in sys.modules
    assert ("cv2" in sys.modules) == opencv
