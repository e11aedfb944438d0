import fcntl
import itertools
import json
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import transforms
from bitdiff_jax.data.records import folder_layout, writer
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.errors import InputError
from tests.data.records_fake import FakeData, content

ROOT = pathlib.Path(__file__).parents[2]


def prepare(out, data=None, **arguments):
    return writer.prepare(data or FakeData(), out, **{"workers": 0, "size": 32, **arguments})


def refused(*parts, out, **arguments):
    with pytest.raises(InputError) as error:
        prepare(out, **arguments)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    prepare(out)
    return content(out)


@pytest.mark.parametrize("number", [1, 7, 8, 9, 100, 128, 129, 4096, 26_581, 118_287, 10**6])
def test_shards_cover_a_split_once(number):
    plan = folder_layout.plan("x", "train", number)
    assert plan[0].start == 0 and plan[-1].stop == number
    assert all(a.stop == b.start for a, b in itertools.pairwise(plan))
    sizes = [shard.stop - shard.start for shard in plan]
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1 and len(plan) <= 128
    assert max(sizes) <= 256 or len(plan) == 128


def test_what_lies_in_the_folder(tmp_path, unbroken):
    shards = [f"fake-train.array_record-{k:05d}-of-00005" for k in range(5)]
    shards += [f"fake-val.array_record-{k:05d}-of-00002" for k in range(2)]
    progress = [f"progress/train-{k:05d}-of-00005.json" for k in range(5)]
    progress += [f"progress/val-{k:05d}-of-00002.json" for k in range(2)]
    others = ["contact_sheet.png", "dataset_info.json", "features.json", "records.json"]
    assert sorted(unbroken) == sorted([*shards, *progress, *others, "progress/parameters.json"])


@pytest.mark.multiprocess
def test_workers_change_nothing(tmp_path, unbroken):
    seen = []
    prepare(tmp_path, workers=2, report=lambda *numbers: seen.append(numbers))
    assert content(tmp_path) == unbroken
    assert seen == [(k, 49, 0) for k in range(50)]


class _Stop(Exception):
    pass


def test_stopped_at_random_images_it_goes_on(tmp_path, unbroken):
    rng = random.Random(0)
    left, rounds = 0, 0
    while rounds < 50:
        rounds += 1
        left = rng.randrange(1, 20)

        def report(done, total, there):
            nonlocal left
            left -= 1
            if left < 0:
                raise _Stop

        try:
            prepare(tmp_path, report=report)
            break
        except _Stop:
            assert not (tmp_path / "dataset_info.json").exists()
            assert not [path for path in tmp_path.rglob(".*")]
            with pytest.raises(InputError, match="not finished"):
                RecordSource(tmp_path)
    assert rounds > 2 and content(tmp_path) == unbroken


def children(pid):
    return [
        int(child)
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def running(pid):
    try:
        return "(zombie)" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.multiprocess
def test_killed_while_it_writes_it_goes_on(tmp_path, unbroken):
    code = (
        "from tests.data.records_fake import FakeData\n"
        "from bitdiff_jax.data.records import writer\n"
        "if __name__ == '__main__':\n"
        f"    writer.prepare(FakeData(delay=.1), {str(tmp_path)!r}, workers=2, size=32)\n"
    )
    path = tmp_path.parent / f"{tmp_path.name}.py"
    path.write_text(code)
    process = subprocess.Popen(
        [sys.executable, path], env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("fake-*"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    orphans = children(process.pid)
    assert len(orphans) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "dataset_info.json").exists()
    there = []
    prepare(tmp_path, report=lambda *numbers: there.append(numbers))
    assert 0 < there[0][0] == there[0][2] < 49 and there[-1][0] == 49
    # Nobody works on for a parent that is gone.
    deadline = time.monotonic() + 120
    while any(map(running, orphans)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, orphans))
    assert content(tmp_path) == unbroken


def test_a_finished_folder_is_left_alone(tmp_path):
    text = prepare(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert prepare(tmp_path) == text == (tmp_path / "summary.txt").read_text()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_a_removed_shard_is_made_again(tmp_path, unbroken):
    prepare(tmp_path)
    (tmp_path / "fake-train.array_record-00003-of-00005").unlink()
    text = prepare(tmp_path)
    assert "41 pictures were there already" in text and content(tmp_path) == unbroken


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:3000] + bytes([b[3000] ^ 1]) + b[3001:]]
)
def test_a_damaged_shard_is_made_again(tmp_path, unbroken, damage):
    prepare(tmp_path)
    shard = tmp_path / "fake-train.array_record-00002-of-00005"
    shard.write_bytes(damage(unbroken[shard.name]))
    assert shard.read_bytes() != unbroken[shard.name]
    lines = []
    prepare(tmp_path, warn=lines.append)
    assert len(lines) == 1 and lines[0].startswith(f"{shard}: is damaged (")
    assert content(tmp_path) == unbroken
    prepare(tmp_path, warn=lines.append)
    assert len(lines) == 1


def test_corrupt_images_are_named_and_left_out(tmp_path):
    data = FakeData(broken=("train/001", "val/008", *(f"train/{k:03d}" for k in range(8, 16))))
    text = prepare(tmp_path, data)
    assert "skipped (10):" in text
    assert "  train train/001: train/001.jpg: the file is damaged or cut short" in text
    train = RecordSource(tmp_path, "train")
    # The whole second shard is empty.
    assert train.names == ("train/000", *(f"train/{k:03d}" for k in (*range(2, 8), *range(16, 40))))
    assert [train[i]["name"] for i in range(len(train))] == list(train.names)
    assert RecordSource(tmp_path, "val").names == tuple(f"val/{k:03d}" for k in range(8))
    refused("--strict", "train/001", "fake-train.array_record-00000", data=data, strict=True,
            out=tmp_path)  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
def test_strict_stops_at_the_first(tmp_path, workers):
    broken = "val/001" if workers else "train/013"
    arguments = {"data": FakeData(broken=(broken,)), "splits": [broken[:-4]], "workers": workers}
    refused(f"{broken}.jpg: the file is damaged", out=tmp_path, strict=True, **arguments)
    # What was finished before stays, and nothing else.
    shards = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert shards == ([] if workers else ["fake-train.array_record-00000-of-00005"])


@pytest.mark.multiprocess
def test_a_fault_of_a_reader_is_not_taken_for_a_corrupt_image(tmp_path):
    data = FakeData({"val": 5}, buggy=("val/000",))
    with pytest.raises(KeyError, match="val/000"):
        prepare(tmp_path, data)
    with pytest.raises(RuntimeError, match="KeyError: 'val/000'"):
        prepare(tmp_path, data, workers=1)


def test_a_split_without_a_readable_image(tmp_path):
    refused("'b'", "b/000.jpg: the file is damaged", out=tmp_path,
            data=FakeData({"a": 1, "b": 2}, broken=("b/000", "b/001")))  # fmt: skip


@pytest.mark.multiprocess
def test_a_killed_worker_is_told(tmp_path):
    refused("exit code -9", "--workers", out=tmp_path, data=_Dies(os.getpid()), workers=1)


class _Dies(FakeData):
    def __init__(self, parent):
        super().__init__({"a": 3})
        object.__setattr__(self, "parent", parent)

    def open(self, split):
        if os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().open(split)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"size": 16}, ["size=32, not 16"]),
        ({"image_format": "png"}, ["image_format=jpeg, not png"]),
        ({"splits": ["val"]}, ["splits=train,val, not val"]),
        ({"data": FakeData(kind="other")}, ["kind=fake, not other"]),
        ({"data": FakeData(options={"zero": "region"})}, ["options={}, not", "region"]),
        ({"data": FakeData({"train": 41, "val": 9})}, ["'train'", "(40, now 41)"]),
        ({"data": FakeData(seed=1)}, ["'train'", "others than"]),
    ],
)
def test_other_arguments_are_refused(tmp_path, arguments, parts):
    (tmp_path / "progress").mkdir()
    plans, parameters, *_ = writer._plan(FakeData(), None, 32, "jpeg")
    (tmp_path / "progress" / "parameters.json").write_text(json.dumps(parameters))
    refused(str(tmp_path), *parts, out=tmp_path, **arguments)
    assert len(list(tmp_path.rglob("*"))) == 2 and len(plans) == 2


def test_bad_arguments_are_named(tmp_path):
    refused("size=-1", out=tmp_path, size=-1)
    refused("no split 'tst'", "train, val", out=tmp_path, splits=["tst"])
    refused("'all'", out=tmp_path, data=FakeData({"all": 2, "val": 2}))
    refused("'a b'", out=tmp_path, data=FakeData({"a b": 2}))
    refused("no pictures", "'val'", out=tmp_path, data=FakeData({"val": 0}))
    assert not list(tmp_path.iterdir())
    (tmp_path / "holiday.jpg").touch()
    refused("--out", "holiday.jpg", "empty folder", out=tmp_path)
    refused("is a file", out=tmp_path / "holiday.jpg")


def test_names_must_differ(tmp_path):
    class Twins(FakeData):
        def open(self, split):
            reader = super().open(split)
            reader.names = ("a", "b", "a")
            return reader

    refused("two pictures named a", out=tmp_path, data=Twins({"val": 3}))


def test_two_at_a_time_are_refused(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    refused("another process", out=tmp_path)
    os.close(folder)
    prepare(tmp_path, FakeData({"val": 2}))


def test_without_room_what_was_done_is_kept(tmp_path):
    """A limit on the size of files stands in for a full disk: the write fails half-way."""
    data = FakeData({"val": 16}, scale=4)
    whole = tmp_path / "whole"
    prepare(whole, data, size=0, image_format="png")
    sizes = sorted(path.stat().st_size for path in whole.glob("*.array_record*"))
    assert len(sizes) == 2 and sizes[0] < sizes[1]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[1] - 1, limits[1]))
    try:
        refused("cannot be written", "File too large", "are kept", out=tmp_path / "out", data=data,
                size=0, image_format="png", splits=["val"])  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in (tmp_path / "out").rglob(".*")]
    prepare(tmp_path / "out", data, size=0, image_format="png")
    assert content(tmp_path / "out") == content(whole)


def test_a_set_without_splits_is_one(tmp_path):
    prepare(tmp_path, FakeData({"all": 3}))
    assert RecordSource.splits(tmp_path) == ("all",) and len(RecordSource(tmp_path)) == 3
    refused("the set has none; leave --splits out", out=tmp_path, data=FakeData({"all": 3}),
            splits=["train"])  # fmt: skip
    with pytest.raises(InputError, match=r"without splits; leave split= out to take all of it$"):
        RecordSource(tmp_path, "train")


def test_the_summary_counts(tmp_path):
    data = FakeData({"train": 12, "val": 9})
    text = prepare(tmp_path, data, size=24)
    items = [data.open(split)[i] for split in data.counts for i in range(data.counts[split])]
    kept = [RecordSource(tmp_path, split) for split in data.counts]
    maps = [ids for source in kept for i in range(len(source)) for ids in source[i]["labels"]]
    counts = [len(np.unique(ids[ids >= 0])) for ids in maps]
    native = sum(len(np.unique(ids[ids >= 0])) for item in items for ids in item["labels"])
    rows = {line[:30].strip(): line[30:].split() for line in text.splitlines()}
    assert rows["pictures"] == ["12", "9", "21"] and rows["skipped"] == ["0", "0", "0"]
    assert rows["regions per label map, median"][-1] == f"{np.median(counts):g}"
    assert rows["90 % have at most"][-1] == str(sorted(counts)[int(np.ceil(0.9 * len(counts))) - 1])
    assert rows["most"][-1] == str(max(counts))
    assert rows["regions lost by shrinking"][-1] == str(native - sum(counts))
    labelled = sum(int((ids >= 0).sum()) for ids in maps) / sum(ids.size for ids in maps)
    assert rows["labelled pixels"][-1] == f"{labelled:.2%}"
    assert rows["label maps per picture"][-3:] == ["1", "to", "3"]
    assert "unlabelled pixels: pixels of no region are ignored" in text


def test_the_share_of_maps_with_many_regions(tmp_path):
    class Many(FakeData):
        def open(self, split):
            ids = np.arange(70, dtype=np.int32)[None].repeat(3, 0)
            image = np.zeros((3, 70, 3), np.uint8)
            few = np.zeros((3, 70), np.int32)
            reader = [
                {"name": "a", "image": image, "labels": (ids, few)},
                {"name": "b", "image": image, "labels": (few, few)},
            ]
            return _List(reader)

    text = prepare(tmp_path, Many({"all": 2}), size=0)
    assert re.search(r"label maps with over 64 +25.00%\n", text)
    assert re.search(r"most +70\n", text)


class _List(list):
    names = ("a", "b")


def test_the_contact_sheet_shows_images_beside_their_maps(tmp_path):
    data = FakeData({"val": 3})
    prepare(tmp_path, data)
    sheet = np.asarray(Image.open(tmp_path / "contact_sheet.png"))
    maps = [item["labels"][0] for item in RecordSource(tmp_path)]
    shapes = [transforms.resized_shape(*each.shape, 128) for each in maps]
    assert sheet.shape == (12 + 128, 6 + sum(2 * (width + 6) for _, width in shapes), 3)
    ids, (height, width) = maps[0], shapes[0]
    shown = sheet[6 : 6 + height, 12 + width : 12 + 2 * width]
    scale = 128 / max(ids.shape)
    # The upper row of an ignored patch is a boundary, its lower rows are not.
    y, x = np.argwhere((ids[1:, 1:] < 0) & (ids[1:, :-1] < 0) & (ids[:-1, 1:] < 0))[0] + 1
    assert shown[int((y + 0.5) * scale), int((x + 0.5) * scale)].tolist() == [24, 24, 24]
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == len(np.unique(ids)) + 1  # boundaries
