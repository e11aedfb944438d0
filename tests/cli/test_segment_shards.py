"""`bitdiff segment --shard` and `bitdiff join`: shares of the pictures, killed and begun again."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli import options
from bitdiff_jax.inference import shards
from tests.cli.segment_files import error_line, files, rows, save, table
from tests.inference import tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Blocks of three images, and a process that kills itself in the midst of one.
KILLS = """
import os, signal
from bitdiff_jax.inference import shards
shards.BLOCK = 3
def write(segmentation, folder, name):
    if name == os.environ.get("KILLED_AT"):
        (folder / f"{name}_labels.png").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def pictures(tmp_path):
    """11 of them, of several sizes, two with the same stem."""
    for k in range(10):
        save(tmp_path / "in" / f"p{k}.png", tiny.image(9 + k, 20 - k, seed=k))
    save(tmp_path / "in" / "p3.jpg", tiny.image(12, 12, seed=20))
    return tmp_path / "in"


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(shards, "BLOCK", 3)


def contents(folder):
    """The files of a folder but those of shards and the overview, which shards do not write."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name != "overview.png"
    }


@pytest.mark.multiprocess
def test_killed_and_restarted_shards_give_the_files_of_one_command(
    run, workdir, pictures, tmp_path, small_blocks, monkeypatch, capsys
):
    (tmp_path / "kills.py").write_text(KILLS)
    monkeypatch.syspath_prepend(tmp_path)
    options = ("--num_samples=8", "--formats=kills:write,id_png,overlay,boundary,modes")
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    environment = os.environ | {"PYTHONPATH": path, "BITDIFF_CACHE_DIR": ""}
    out = tmp_path / "shared"
    killed = [
        subprocess.Popen(
            [sys.executable, "-m", "bitdiff_jax", "segment", str(pictures), *options]
            + [f"--checkpoint={workdir}", f"--out={out}", "--num_steps=2", "--batch_size=4"]
            + [f"--shard={k}/2"],
            env=environment | {"KILLED_AT": name},
            stdout=subprocess.DEVNULL,
        )
        for k, name in enumerate(("p3-2", "p9"))
    ]
    assert [each.wait() for each in killed] == [-signal.SIGKILL] * 2
    assert (out / "p3-2_labels.png").read_bytes() == b"half"
    first = out / "shards" / "00000-of-00002"
    assert files(first) == [
        "images-00000.csv", "modes-00000.csv", "regions-00000.csv", "shard.json", "unread-00000.csv"
    ]  # fmt: skip
    assert cli.main(["join", str(out)]) == 2
    assert "2 of 2 shards are not finished (0, 1)" in capsys.readouterr().err

    done = [run(pictures, *options, f"--shard={k}/2", out=out) for k in (1, 0)]
    assert done == [0, 0]
    assert "3 of 5 picture(s) were finished before" in capsys.readouterr().out
    assert cli.main(["join", str(out)]) == 0
    assert run(pictures, *options, out=tmp_path / "one") == 0
    assert run(pictures, *options, "--shard=0/1", out=tmp_path / "resumable") == 0
    assert cli.main(["join", str(tmp_path / "resumable")]) == 0
    expected = contents(tmp_path / "one")
    assert len(expected) == 11 * 2 + 11 * 5 + 3
    assert contents(out) == expected == contents(tmp_path / "resumable")


def test_each_picture_is_of_one_shard_whatever_their_numbers():
    for num_images in (0, 1, 7, 64, 1000):
        for count in (1, 3, 8, 1001):
            shares = [shards.bounds(num_images, k, count) for k in range(count)]
            assert shares[0][0] == 0 and shares[-1][1] == num_images
            assert all(a[1] == b[0] for a, b in itertools.pairwise(shares))
            sizes = {end - start for start, end in shares}
            assert max(sizes) - min(sizes) <= 1


def test_finished_pictures_are_not_drawn_again(run, pictures, tmp_path, small_blocks, capsys):
    assert run(pictures, "--shard=0/1") == 0
    out = tmp_path / "out"
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    own = out / "shards" / "00000-of-00001"
    (own / "images-00001.csv").unlink()
    (out / "p0_labels.png").unlink()  # of a finished block: nobody looks for it
    capsys.readouterr()
    assert run(pictures, "--shard=0/1") == 0
    assert "8 of 11 picture(s) were finished before" in capsys.readouterr().out
    drawn = {
        path.name.partition("_")[0]
        for path, time in times.items()
        if path.exists() and path.stat().st_mtime_ns != time and path.suffix == ".png"
    }
    assert drawn == {"p3", "p3-2", "p4"}
    assert not (out / "p0_labels.png").exists()


def test_more_shards_than_pictures(run, tmp_path, capsys):
    for k in range(2):
        save(tmp_path / "in" / f"{k}.png", tiny.image(9, 9, seed=k))
    assert [run(tmp_path / "in", f"--shard={k}/3") for k in range(3)] == [0, 0, 0]
    assert capsys.readouterr().out.count("there are no pictures in this share") == 1
    assert cli.main(["join", str(tmp_path / "out")]) == 0
    assert [row["image"] for row in rows(tmp_path / "out")] == ["0", "1"]
    assert {row["image"] for row in table(tmp_path / "out")} == {"0", "1"}


def test_a_picture_that_cannot_be_read_is_named_by_join(run, pictures, tmp_path, capsys):
    (pictures / "p4.png").write_text("no picture")
    assert run(pictures, "--shard=0/1") == 0
    assert "1 of 11 picture(s) left out" in capsys.readouterr().err
    assert cli.main(["join", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == f"bitdiff join: {pictures / 'p4.png'} could not be read\n"
    assert len(rows(tmp_path / "out")) == 10


def test_other_settings_are_refused_before_a_model_is_loaded(run, pictures, monkeypatch, capsys):
    assert run(pictures, "--shard=0/20") == 0
    capsys.readouterr()
    monkeypatch.setattr(options, "load_weights", None)
    assert run(pictures, "--shard=0/20", "--edges=nearest") == 2
    error_line(capsys, "shards/00000-of-00020 was begun with edges", "not 'nearest'")


@pytest.mark.parametrize("broken", ["{", "[]", "{}"])
def test_a_broken_record_says_what_to_delete(run, pictures, tmp_path, broken, capsys):
    assert run(pictures, "--shard=0/20") == 0
    own = tmp_path / "out" / "shards" / "00000-of-00020"
    (own / "shard.json").write_text(broken)
    told = f"delete the folder {own} and run this shard again"
    capsys.readouterr()
    assert run(pictures, "--shard=0/20") == 2
    error_line(capsys, "shard.json", told)
    assert cli.main(["join", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    shutil.rmtree(own)
    assert run(pictures, "--shard=0/20") == 0


@pytest.mark.parametrize("changed", ["--seed=1", "--num_samples=2", "--formats=id_png"])
def test_another_command_does_not_go_on_with_it(run, pictures, changed, capsys):
    assert run(pictures, "--shard=0/20") == 0
    capsys.readouterr()
    assert run(pictures, "--shard=0/20", changed) == 2
    name = changed.strip("-").partition("=")[0]
    error_line(capsys, "shards/00000-of-00020 was begun with", name)


def test_other_pictures_or_numbers_of_shards_are_refused(run, pictures, tmp_path, capsys):
    assert run(pictures, "--shard=0/20") == 0
    capsys.readouterr()
    assert run(pictures, "--shard=0/10") == 2
    error_line(capsys, "shards/00000-of-00020", "one of 10")
    save(pictures / "later.png", tiny.image(9, 9))
    assert run(pictures, "--shard=0/20") == 2
    error_line(capsys, "11 images, and there are 12")
    (pictures / "later.png").unlink()
    (pictures / "p0.png").rename(pictures / "other.png")
    assert run(pictures, "--shard=0/20") == 2
    error_line(capsys, "other images, 11 as well")
    (pictures / "other.png").rename(pictures / "p0.png")
    save(pictures / "later.png", tiny.image(9, 9))
    assert run(pictures, "--shard=1/20") == 0  # join sees that they are not of one kind
    for k in range(2, 20):
        own = tmp_path / "out" / "shards" / f"{k:05d}-of-00020"
        own.mkdir()
        said = json.loads((tmp_path / "out/shards/00000-of-00020/shard.json").read_text())
        (own / "shard.json").write_text(json.dumps(said | {"index": k}))
    capsys.readouterr()
    assert cli.main(["join", str(tmp_path / "out")]) == 2
    assert "different images or settings" in capsys.readouterr().err
    assert run(pictures, out=tmp_path / "plain") == 0
    capsys.readouterr()
    assert run(pictures, "--shard=0/2", out=tmp_path / "plain") == 2
    error_line(capsys, "without --shard")


def test_a_command_without_shards_leaves_a_folder_of_shards_alone(run, pictures, tmp_path, capsys):
    assert run(pictures, "--shard=0/1") == 0
    told = capsys.readouterr().out
    assert "`bitdiff join" in told and "overview.png" not in told and "images.csv" not in told
    for joined in (False, True):
        if joined:
            assert cli.main(["join", str(tmp_path / "out")]) == 0
        before = contents(tmp_path / "out")
        capsys.readouterr()
        assert run(pictures, "--seed=5") == 2
        error_line(capsys, "holds results of a command with --shard")
        assert contents(tmp_path / "out") == before


def test_what_is_not_there_begins_no_shard(run, pictures, tmp_path, capsys):
    assert run(pictures, tmp_path / "mistyped", "--shard=0/2") == 2
    error_line(capsys, "mistyped: no such file or folder")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shard", ["2/2", "1", "-1/2", "a/b", "0/0", "1/2/3", "½/2"])
def test_what_is_no_shard(run, pictures, shard, capsys):
    assert run(pictures, f"--shard={shard}") == 2
    error_line(capsys, "--shard", "0/8")


def test_what_shards_cannot_do(run, pictures, tmp_path, capsys):
    assert run(pictures, "--shard=0/2", "--formats=coco_panoptic") == 2
    error_line(capsys, "coco_panoptic", "--shard")
    assert run(pictures / "p0.png", "--shard=0/1", "--same=1,1;2,2") == 2
    error_line(capsys, "--same", "--shard")
    assert cli.main(["join", str(tmp_path / "nothing")]) == 2
    assert "holds no shards" in capsys.readouterr().err
