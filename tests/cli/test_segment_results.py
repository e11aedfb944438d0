"""The folder of results: what `bitdiff segment` claims, keeps, replaces and never loses."""

import errno
import shutil
import sys
import types

import pytest
from etils import epath

from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli import options
from tests.cli.segment_files import error_line, files, rows, save, table
from tests.inference import tiny


def test_places_that_cannot_be_written_are_refused(run, tmp_path, capsys):
    picture = save(tmp_path / "in" / "a.png", tiny.image(9, 9))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert run(picture, out=out) == 2
        error_line(capsys, "--out", str(out), "folder")
    assert run(tmp_path / "in", out=tmp_path / "in") == 2
    error_line(capsys, "--out", str(tmp_path / "in"))
    labels = save(tmp_path / "in" / "a_labels.png", tiny.image(9, 9))
    before = labels.read_bytes()
    assert run(picture, labels, out=tmp_path / "in") == 2
    error_line(capsys, "overwrite", "a_labels.png")
    assert labels.read_bytes() == before


def test_results_may_lie_beside_a_image(run, tmp_path):
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    assert run(picture, out=tmp_path) == 0
    assert "a_labels.png" in files(tmp_path)


def test_results_of_other_images_are_not_lost(run, tmp_path, capsys):
    first, second = (save(tmp_path / name / "a.png", tiny.image(9, 9)) for name in "12")
    third = save(tmp_path / "c.png", tiny.image(9, 9))
    out = tmp_path / "out"
    assert run(first, third) == 0
    before = {name: (out / name).read_bytes() for name in files(out)}
    capsys.readouterr()
    for others in ([second, third], [first]):
        assert run(*others) == 2
        error_line(capsys, "--out", "other pictures", "name another folder")
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    fourth = save(tmp_path / "d.png", tiny.image(9, 9))
    assert run(first, third, fourth, "--seed=1") == 0
    assert [row["file"] for row in rows(out)] == [str(first), str(third), str(fourth)]


def full_disk(monkeypatch, folder, of):
    """Lets only half of a file be written, if its name contains `of`."""
    local = type(epath.Path(folder))
    write = local.write_bytes

    def write_half(path, data):
        if of not in path.name:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local, "write_bytes", write_half)


@pytest.mark.parametrize("of", ["a_labels.png", "a_overlay.png", "regions.csv", "images.csv"])
def test_a_full_disk_ends_it_in_one_line(run, tmp_path, capsys, monkeypatch, of):
    full_disk(monkeypatch, tmp_path, of)
    assert run(save(tmp_path / "a.png", tiny.image(9, 9))) == 2
    error_line(capsys, of, "No space left on device", "free space")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("of", ["b_labels.png", "b_agreement.png"])
def test_what_is_finished_is_in_the_tables_whatever_happens_next(
    run, tmp_path, capsys, monkeypatch, of
):
    paths = [save(tmp_path / f"{name}.png", tiny.image(9, 9)) for name in "abc"]
    out = tmp_path / "out"
    full_disk(monkeypatch, tmp_path, of)
    assert run(*paths) == 2
    kinds = ("agreement", "colours", "labels", "overlay")
    done = [f"a_{kind}.png" for kind in kinds]
    assert files(out) == [*done, "images.csv", "overview.png", "regions.csv"]
    assert (
        [row["image"] for row in rows(out)] == ["a"] == sorted({row["image"] for row in table(out)})
    )
    capsys.readouterr()
    assert run(tmp_path / "other.png") == 2
    error_line(capsys, "--out", "other pictures", str(paths[0]))


def at_second_image(tmp_path, monkeypatch, act):
    """The option of a format that calls `act` once it has written of the image called b."""
    module = types.ModuleType("own_act")

    def write(segmentation, folder, name):
        (folder / f"{name}_labels.png").write_text("half")
        if name == "b":
            act()

    module.write = write
    monkeypatch.setitem(sys.modules, "own_act", module)
    return "--formats=own_act:write"


def test_ctrl_c_leaves_what_is_finished(run, tmp_path, capsys, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    paths = [save(tmp_path / f"{name}.png", tiny.image(9, 9)) for name in "abc"]
    assert run(*paths, at_second_image(tmp_path, monkeypatch, stop)) == 130
    assert capsys.readouterr().err == "bitdiff segment: interrupted\n"
    assert files(tmp_path / "out") == ["a_labels.png", "images.csv", "overview.png", "regions.csv"]
    assert [row["image"] for row in rows(tmp_path / "out")] == ["a"]


def test_what_a_killed_command_left_is_not_mixed_with_other_images(
    run, tmp_path, capsys, monkeypatch
):
    left = tmp_path / "left"
    paths = [save(tmp_path / f"{name}.png", tiny.image(9, 9)) for name in "abc"]
    # A copy of the folder in the midst of an image is what kill -9 leaves.
    option = at_second_image(tmp_path, monkeypatch, lambda: shutil.copytree(tmp_path / "out", left))
    assert run(*paths, option) == 0
    (left / ".b_labels.png.123.tmp").write_text("a quarter")
    killed = ["a_labels.png", "b_labels.png", "images.csv", "overview.png", "regions.csv"]
    assert files(left) == [".b_labels.png.123.tmp", *killed, "unfinished.csv"]
    assert [row["image"] for row in rows(left)] == ["a"]
    capsys.readouterr()
    for others in ([tmp_path / "other.png"], paths[:2]):
        assert run(*others, out=left) == 2
        error_line(capsys, "--out", "other pictures")
    paths[1].write_text("not a picture any more")
    assert run(*paths, "--num_samples=1", "--formats=id_png", out=left) == 1
    results = ["a_labels.png", "c_labels.png", "images.csv", "overview.png", "regions.csv"]
    assert files(left) == results


def test_two_commands_at_once(run, tmp_path, capsys, monkeypatch):
    paths = [save(tmp_path / f"{name}.png", tiny.image(9, 9)) for name in "ab"]
    ended = []
    option = at_second_image(tmp_path, monkeypatch, lambda: ended.append(run(tmp_path / "a.png")))
    assert run(*paths, option) == 0 and ended == [2]
    error_line(capsys, "--out", "another process is writing there")
    assert [row["image"] for row in rows(tmp_path / "out")] == ["a", "b"]


def test_drawing_again_leaves_nothing_of_the_earlier_settings(run, tmp_path):
    paths = [save(tmp_path / f"{name}.png", tiny.image(9, 9)) for name in "ab"]
    out = tmp_path / "out"
    assert run(*paths) == 0
    kept = {path.name: path.read_bytes() for path in out.glob("b_*")}
    paths[1].write_text("not a picture any more")
    before = [row for row in table(out) if row["image"] == "b"], rows(out)[1]
    assert run(*paths, "--num_samples=1", "--formats=id_png,overlay") == 1
    # What can no longer be read stays as it was, with its rows.
    assert {path.name: path.read_bytes() for path in out.glob("b_*")} == kept and len(kept) == 4
    assert sorted(path.name for path in out.glob("a_*")) == ["a_labels.png", "a_overlay.png"]
    by_image = {row["image"]: row for row in rows(out)}
    assert ([row for row in table(out) if row["image"] == "b"], by_image["b"]) == before
    assert by_image["a"]["num_samples"] == "1" and by_image["b"]["num_samples"] == "4"


def test_an_image_whose_results_get_another_name(run, tmp_path):
    first, second = (save(tmp_path / name / "a.png", tiny.image(9, 9)) for name in "12")
    assert run(first, out=tmp_path / "moved") == 0
    assert run(tmp_path / "no" / "a.png", first, "--formats=id_png", out=tmp_path / "moved") == 1
    assert [row["image"] for row in rows(tmp_path / "moved")] == ["a-2"]
    assert len(files(tmp_path / "moved")) == 1 + 3

    assert run(first, second) == 0
    assert run(second, first, "--seed=1", "--formats=id_png") == 0
    out = tmp_path / "out"
    assert [(row["image"], row["file"]) for row in rows(out)] == [
        ("a", str(second)),
        ("a-2", str(first)),
    ]
    assert len(files(out)) == 2 + 3


@pytest.mark.parametrize("name", ["a_labels.png", "a_agreement.png", "images.csv"])
def test_files_that_no_command_wrote_are_not_lost(run, tmp_path, capsys, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    assert run(save(tmp_path / "a.png", tiny.image(9, 9)), "--formats=id_png") == 2
    error_line(capsys, "--out", name, "name another folder, or remove it")
    assert files(out) == [name] and (out / name).read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_found_before_the_model_is_loaded(
    workdir, tmp_path, capsys, monkeypatch
):
    def fail(path, data):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(options, "load_weights", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(type(epath.Path(tmp_path)), "write_bytes", fail)
    picture = save(tmp_path / "a.png", tiny.image(9, 9))
    out = tmp_path / "out"
    assert cli.main(["segment", str(picture), f"--checkpoint={workdir}", f"--out={out}"]) == 2
    assert "free" not in error_line(capsys, f"--out {out}", "Read-only", "that can be written")
