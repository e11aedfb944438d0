"""Metrics written and read back, over starts, rolls back and torn lines; TensorBoard's files."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import writers
from bitdiff_jax.errors import InputError
from bitdiff_jax.writers import RunWriter, read_metrics


def write(workdir, start_step, steps, mark):
    writer = RunWriter(workdir, start_step=start_step)
    for step in steps:
        writer.write_scalars(step, {"loss": step + mark})
    writer.close()


def seen(workdir):
    return {row["step"]: row["loss"] for row in read_metrics(workdir)}


def test_each_start_has_a_part_and_a_line_that_says_where_it_began(tmp_path):
    write(tmp_path, 0, [1, 2], 0.0)
    write(tmp_path, 2, [3], 0.0)
    parts = sorted((tmp_path / "metrics").iterdir())
    assert [p.name for p in parts] == ["0000.jsonl", "0001.jsonl"]
    first = [json.loads(p.read_text().splitlines()[0]) for p in parts]
    assert [(r["step"], r["event"]) for r in first] == [(0, "start"), (2, "start")]


def test_a_part_is_never_written_over(tmp_path):
    for _ in range(3):
        write(tmp_path, 0, [1], 0.0)
    (tmp_path / "metrics" / "0000.jsonl").unlink()
    write(tmp_path, 0, [1], 0.5)
    assert sorted(p.name for p in (tmp_path / "metrics").iterdir()) == [
        "0001.jsonl",
        "0002.jsonl",
        "0003.jsonl",
    ]


def test_rows_after_the_checkpoint_gone_on_from_are_superseded(tmp_path):
    write(tmp_path, 0, [1, 10, 20, 25, 30], 0.0)  # checkpoint at 20; killed after 30
    write(tmp_path, 20, [21, 30, 40], 0.5)
    # 25 was logged by the first start alone, and is gone: the last start did not log it.
    assert seen(tmp_path) == {1: 1.0, 10: 10.0, 20: 20.0, 21: 21.5, 30: 30.5, 40: 40.5}


def test_a_start_that_never_got_to_a_step_supersedes_too(tmp_path):
    write(tmp_path, 0, [10, 20, 30], 0.0)
    write(tmp_path, 10, [], 0.0)
    assert seen(tmp_path) == {10: 10.0}
    write(tmp_path, 10, [20], 0.5)
    assert seen(tmp_path) == {10: 10.0, 20: 20.5}


def test_parts_are_read_in_order_beyond_ten(tmp_path):
    for start in range(12):
        write(tmp_path, start, [start + 1], start / 100)
    assert seen(tmp_path)[12] == pytest.approx(12.11)
    assert list(seen(tmp_path)) == list(range(1, 13))


def test_a_roll_back_within_one_start(tmp_path):
    writer = RunWriter(tmp_path, start_step=0)
    for step in (10, 20, 30):
        writer.write_scalars(step, {"loss": step})
    writer.rewind(10)
    writer.write_scalars(30, {"loss": 0})
    writer.close()
    assert seen(tmp_path) == {10: 10.0, 30: 0.0}


def test_a_part_without_a_start_line_supersedes_from_its_first_row(tmp_path):
    write(tmp_path, None, [10, 20, 30], 0.0)
    write(tmp_path, None, [20], 0.5)
    assert seen(tmp_path) == {10: 10.0, 20: 20.5}


def test_rows_of_one_step_are_joined(tmp_path):
    writer = RunWriter(tmp_path, start_step=0)
    writer.write_scalars(5, {"loss": np.float32(0.5), "note": "x"})
    writer.write_scalars(5, {"eval/ari": np.asarray(0.25)})
    writer.close()
    (row,) = read_metrics(tmp_path)
    assert {k: row[k] for k in ("step", "loss", "note", "eval/ari")} == {
        "step": 5,
        "loss": 0.5,
        "note": "x",
        "eval/ari": 0.25,
    }


def test_lines_are_strict_json_and_what_is_not_finite_comes_back(tmp_path):
    writer = RunWriter(tmp_path, start_step=0)
    writer.write_scalars(np.int64(1), {"a": np.nan, "b": np.inf, "c": -np.inf})
    writer.close()

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for line in writer.path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    (row,) = read_metrics(tmp_path)
    assert np.isnan(row["a"]) and row["b"] == np.inf and row["c"] == -np.inf


@pytest.mark.parametrize("length", [1, 5, 12, 30, -2, -1])
def test_a_torn_last_line_is_left_out(tmp_path, length):
    write(tmp_path, 0, [1, 2], 0.0)
    path = tmp_path / "metrics" / "0000.jsonl"
    *whole, last = path.read_text().splitlines()
    path.write_text("\n".join(whole) + "\n" + last[:length])
    assert seen(tmp_path) == {1: 1.0}
    write(tmp_path, 1, [2], 0.5)
    assert seen(tmp_path) == {1: 1.0, 2: 2.5}


def test_a_spoilt_line_in_the_middle_is_named(tmp_path):
    write(tmp_path, 0, [1, 2], 0.0)
    path = tmp_path / "metrics" / "0000.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{broken", lines[2]]) + "\n")
    with pytest.raises(InputError, match=r"0000\.jsonl: line 2 is not a row"):
        read_metrics(tmp_path)


def test_a_folder_without_metrics_is_named(tmp_path):
    with pytest.raises(InputError, match=r"has no metrics/\*.jsonl"):
        read_metrics(tmp_path / "elsewhere")


def test_on_a_disk_each_line_is_there_at_once(tmp_path):
    writer = RunWriter(tmp_path, start_step=0)
    writer.write_scalars(1, {"loss": 1})
    assert seen(tmp_path) == {1: 1.0}
    writer.close()


def test_in_a_bucket_the_part_is_written_whole_at_intervals(tmp_path):
    class Now:
        time = 0.0

    path = tmp_path / "part"
    lines = writers._Bucket(path, seconds=60, clock=lambda: Now.time)
    read = lambda: path.read_text().split()  # noqa: E731
    lines.add("0")
    assert read() == ["0"]
    lines.add("1")
    assert read() == ["0"]
    Now.time = 61.0
    lines.add("2")
    assert read() == ["0", "1", "2"]
    lines.add("3")
    lines.close()
    assert read() == ["0", "1", "2", "3"]


def test_a_bucket_that_fails_for_a_while_does_not_end_the_run(tmp_path):
    path = tmp_path / "not_yet" / "part"
    lines = writers._Bucket(path, seconds=0)
    lines.add("0")
    path.parent.mkdir()
    lines.add("1")
    assert path.read_text() == "0\n1\n"


@pytest.mark.parametrize(
    ("path", "there"), [("gs://a/metrics/0000.jsonl", True), ("/data/a/0000.jsonl", False)]
)
def test_which_paths_are_in_a_bucket(path, there):
    from etils import epath

    assert writers._in_bucket(epath.Path(path)) is there


def test_images_and_texts(tmp_path):
    writer = RunWriter(tmp_path, start_step=0)
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    path = writer.write_image(7, picture)
    assert path.name == "00000007.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert writer.write_text("parameters.txt", "a\nb\n\n").read_text() == "a\nb\n"
    writer.close()


def test_tensorboard_says_how_to_install_it(tmp_path, monkeypatch):
    write(tmp_path, 0, [1, 2], 0.0)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"bitdiff_jax\[tensorboard\]"):
        RunWriter(tmp_path, start_step=1, tensorboard=True)
    assert seen(tmp_path) == {1: 1.0, 2: 2.0}


def events(workdir):
    """All events in the order in which TensorBoard reads them, through no code of ours."""
    import struct

    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):  # a record is length u64, its crc u32, the event, its crc u32
            (length,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += 12 + length + 4
    return found


def test_tensorboard_gets_scalars_images_texts_and_forgets_what_is_superseded(tmp_path):
    pytest.importorskip("tensorboardX", reason="needs the extra `tensorboard`")
    for start, steps in ((0, [1, 2, 3]), (2, [3])):
        writer = RunWriter(tmp_path, start_step=start, tensorboard=True)
        writer.write_text("config.json", '{"seed": 0}')
        for step in steps:
            writer.write_scalars(step, {"loss": step / 4, "note": "x"})
        writer.write_image(steps[-1], np.zeros((4, 6, 3), np.uint8))
        writer.rewind(steps[-1])  # a third and a fourth file within the same second
        writer.close()
    found = events(tmp_path)
    values = [(e.step, v) for e in found for v in e.summary.value]
    assert [(s, v.simple_value) for s, v in values if v.tag == "loss"] == [
        (1, 0.25),
        (2, 0.5),
        (3, 0.75),
        (3, 0.75),
    ]
    images = [(s, v.image) for s, v in values if "samples" in v.tag]
    assert [(s, p.height, p.width) for s, p in images] == [(3, 4, 6)] * 2
    texts = [v.tensor.string_val[0] for _, v in values if v.tag.startswith("config")]
    assert texts == [b'    {"seed": 0}\n'] * 2
    # A session that starts at a step hides what was said of it and of later ones before.
    starts = [e.step for e in found if e.session_log.status == e.session_log.START]
    assert starts == [1, 4, 3, 4]
