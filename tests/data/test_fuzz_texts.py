"""Texts, tables and JSON as tools and people write them: taken, or an `InputError` of one line."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bitdiff_jax.data import folder, readers, spec_text
from bitdiff_jax.data.readers import runs
from bitdiff_jax.errors import InputError
from tests.data.readers import coco_files, layouts

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
# One folder serves all examples: each rewrites the one file that is looked at.
in_one_folder = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def taken(read, *arguments, **options):
    """What it gives, or None if it refuses, in one line."""
    try:
        return read(*arguments, **options)
    except InputError as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 1000
        return None


@in_one_folder
@given(data=st.binary(max_size=40) | st.text(max_size=20).map(str.encode) | ANYTHING)
@example(data={"train": ["000"], "val": []})
@example(data=b"\xef\xbb\xbf{}")
@example(data=b"\xff\xfe{\x00")
def test_splits_of_a_folder(tmp_path, data):
    layouts.folder(tmp_path)
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    (tmp_path / "splits.json").write_bytes(content)
    for split in taken(folder.FolderSource.splits, tmp_path) or ():
        source = taken(folder.FolderSource, tmp_path, split, zero="region")
        assert source is None or len(source) > 0


@pytest.fixture(scope="module")
def devkit(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    layouts.voc(root)
    return root


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
@example(data=b"2007_000030\r2007_000031")
@example(data=b"\xef\xbb\xbf2007_000030")
def test_lists_of_voc(devkit, data):
    path = devkit / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    path.write_bytes(data)
    taken(readers.splits, "voc", devkit)
    source = taken(readers.make, "voc", devkit, "val")
    assert source is None or set(source.names) <= set(readers.make("voc", devkit).names)


FIELDS = [
    *(("images", field) for field in ("id", "file_name", "height", "width")),
    *(("annotations", field) for field in ("id", "image_id", "iscrowd", "segmentation")),
]


@pytest.mark.parametrize(("part", "field"), FIELDS)
@in_one_folder
@given(value=ANYTHING)
@example(value="1")
@example(value=1.0)
@example(value="a\\b.jpg")
@example(value="\ud800")
def test_fields_of_coco(tmp_path, part, field, value):
    whole = {
        "images": {"id": 1, "file_name": "0.png", "height": 4, "width": 5},
        "annotations": {
            "id": 1, "image_id": 1, "iscrowd": 0, "segmentation": coco_files.packed(np.eye(4, 5)),
        },
    }  # fmt: skip
    whole[part][field] = value
    path = tmp_path / "annotations" / "instances_val2017.json"
    coco_files.write(path, [whole["images"]], [whole["annotations"]])
    coco_files.image(tmp_path / "val2017" / "0.png", 4, 5)
    reader = taken(readers.make, "coco_instances", tmp_path)
    item = None if reader is None else taken(reader.__getitem__, 0)
    if item is not None:
        item["name"].encode()
        assert item["labels"][0].shape == (4, 5) and item["labels"][0].min() >= -1


@given(ANYTHING | st.fixed_dictionaries({"size": ANYTHING, "counts": ANYTHING}))
def test_masks_of_coco(segmentation):
    found = taken(runs.runs, segmentation, 4, 5)
    assert found is None or (found[:, 1] > 0).all()


@given(st.text(alphabet='a,;"=: ~/\n\udce9'))
def test_specs(text):
    for spec in taken(spec_text.parse, text) or ():
        (again,) = spec_text.parse(spec_text.write(spec.kind, spec.path, spec.options)) or [spec]
        assert (again.kind, again.path, again.options) == (spec.kind, spec.path, spec.options)
