"""`bitdiff segment --tile_size`: large pictures tile by tile."""

import numpy as np
import pytest

from bitdiff_jax.cli import tile_option
from bitdiff_jax.data import images
from tests.cli.segment_files import error_line, files, save
from tests.inference import tiny


@pytest.fixture
def picture(tmp_path):
    return save(tmp_path / "cat.png", tiny.image(40, 60))


def test_tiles_of_a_picture_are_one_map(run, segmenter, picture, tmp_path, capsys):
    assert run(picture, "--tile_size=32", "--num_samples=1") == 0
    assert files(tmp_path / "out") == ["cat_labels.png", "cat_overlay.png"]
    found = images.read_labels(tmp_path / "out" / "cat_labels.png")
    want = segmenter.tiled(picture, 32, num_steps=2, batch_size=4)
    np.testing.assert_array_equal(found, want)
    assert f"cat: 60x40, {want.max()} regions" in capsys.readouterr().out
    overlay = images.read_image(tmp_path / "out" / "cat_overlay.png")
    assert overlay.shape == (40, 60, 3)


def test_an_overlay_is_small_and_many_ids_are_kept(run, picture, tmp_path, monkeypatch):
    monkeypatch.setattr(tile_option, "_OVERLAY", 30)
    monkeypatch.setattr(images, "MAX_LABEL", 0)
    assert run(picture, "--tile_size=64", "--num_samples=1") == 0
    assert images.read_image(tmp_path / "out" / "cat_overlay.png").shape == (20, 30, 3)
    assert np.load(tmp_path / "out" / "cat_labels.npy").shape == (40, 60)


def test_what_cannot_be_read_is_left_out(run, picture, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert run(tmp_path / "broken.png", picture, "--tile_size=64", "--num_samples=1") == 1
    assert (tmp_path / "out" / "cat_labels.png").exists()
    assert "1 of 2 picture(s) left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "part"),
    [
        (["--tile_size=8"], "tile_size is 8; it must be at least 32"),
        (["--tile_size=64", "--shard=0/2"], "--shard: of no use with --tile_size"),
        (["--tile_size=64", "--same=1,1;2,2", "--formats=npz"], "--same, --formats: of no use"),
        (["--tile_size=64", "--points=1,1,+"], "--points: of no use"),
        (["--tile_size=64", "--box=1,1,9,9"], "--box: of no use"),
        (["--tile_size=64", "--granularity=9"], "--granularity: of no use"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(run, picture, capsys, told, part):
    assert run(picture, *told) == 2
    error_line(capsys, part)


def test_a_folder_of_other_results_is_refused(run, picture, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "images.csv").write_text("image,file\n")
    assert run(picture, "--tile_size=64") == 2
    error_line(capsys, "holds results without --tile_size, whose tables would no longer be true")
