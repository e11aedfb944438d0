"""`bitdiff segment` with what is known of a picture: --keep, --same, --different."""

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import options
from bitdiff_jax.data import images
from tests.cli.segment_files import error_line, save
from tests.inference import tiny


@pytest.fixture
def picture(tmp_path):
    return save(tmp_path / "cat.png", tiny.image(40, 60))


def keep_file(folder, values):
    path = folder / "keep.png"
    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


def labels(out):
    return images.read_labels(out / "cat_labels.png")


KEEP = np.zeros((40, 60), int)
KEEP[:20, :25], KEEP[25:39, 30:50] = 700, 3


def test_kept_regions_hold_at_every_pixel(run, segmenter, picture, tmp_path):
    out = tmp_path / "out"
    assert run(picture, f"--keep={keep_file(tmp_path, KEEP)}") == 0
    found = labels(out)
    regions = [np.unique(found[each == KEEP]) for each in (700, 3)]
    assert [len(each) for each in regions] == [1, 1] and regions[0] != regions[1]
    keep = np.where(KEEP == 0, -1, KEEP)
    want = segmenter(picture, num_samples=4, num_steps=2, batch_size=4, keep=keep)
    np.testing.assert_array_equal(found, want.label_map())


def test_another_value_is_unknown(run, picture, tmp_path):
    out = tmp_path / "out"
    assert run(picture, f"--keep={keep_file(tmp_path, KEEP)}", "--unknown=700") == 0
    found = labels(out)
    assert len(np.unique(found[KEEP == 0])) == 1 and found[0, 59] != found[30, 40]


def test_points_are_x_and_y(run, picture, tmp_path):
    out = tmp_path / "out"
    told = ["--same=0,0;59,39;5,20", "--different=0,0;30,20", "--same", "30,20;30,2"]
    assert run(picture, *told, "--prompt_weight=0") == 0
    found = labels(out)
    assert found[0, 0] == found[39, 59] == found[20, 5] != found[20, 30] == found[2, 30]


def test_points_of_a_model_without_prompts_are_read_off_samples(
    run, segmenter, picture, tmp_path, capsys
):
    assert run(picture, "--points=5,5,+; 10,35,+ ;50,5,-") == 0
    assert "16 sample(s)" in capsys.readouterr().out
    told = {"inside": [(5, 5), (35, 10)], "outside": [(5, 50)]}
    draw = {"num_samples": 16, "num_steps": 2, "temperature": 1, "guidance_weight": 0}
    want = segmenter(picture, batch_size=4, **draw, **told)
    found = labels(tmp_path / "out")
    np.testing.assert_array_equal(found, want.label_map())
    assert found[5, 5] == found[35, 10] != found[5, 50]
    region = np.asarray(Image.open(tmp_path / "out" / "cat_region.png"))
    np.testing.assert_array_equal(region == 255, want.clicked_region)


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        (["--same=0,0;60,0"], ["--same: point 60,0 lies outside of the picture, 60x40; give x,y"]),
        (["--same=3,4"], ["--same 3,4: is one point; give two or more"]),
        (["--different=3,4;5"], ["--different 3,4;5: '5' is no point; write whole numbers X,Y"]),
        (["--different=3,4;-5,2"], ["'-5,2' is no point"]),
        (["--same=1,1;50,30", "--different=1,1;50,30"], ["(row 1, column 1)", "leave out one of"]),
        (["--prompt_weight=-1", "--same=1,1;50,30"], ["prompt_weight is -1.0; give a finite"]),
        (["--points=1,1,+;60,0,-"], ["--points: point 60,0 lies outside of the picture, 60x40"]),
        (["--points=1,1,+;5,2"], ["--points 1,1,+;5,2: '5,2' is no point; write X,Y,+"]),
        (["--points=1,1,-"], ["outside: points lie outside of a region that nothing names"]),
        (["--box=1,1,5"], ["--box 1,1,5: is no box; write its left,top,right,bottom"]),
        (["--box=5,1,5,9"], ["--box 5,1,5,9: is empty"]),
        (["--box=5,1,61,9"], ["--box reaches beyond the picture, 60x40"]),
        (["--box=5,1,9,9"], ["box: the model was not trained with this prompt"]),
        (["--granularity=9"], ["granularity: the model was not trained with this prompt"]),
    ],
)
def test_what_cannot_be_met_is_refused_in_a_line(run, picture, tmp_path, capsys, told, parts):
    assert run(picture, *told) == 2
    error_line(capsys, *parts)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("cat*"))


def test_a_map_that_does_not_fit_is_refused(run, picture, tmp_path, capsys):
    assert run(picture, f"--keep={keep_file(tmp_path, KEEP[:30])}") == 2
    error_line(capsys, "--keep is 60x30, and the picture 60x40; give a map of the picture's size")
    assert run(picture, f"--keep={keep_file(tmp_path, 0 * KEEP)}") == 2
    error_line(capsys, "keep.png: all pixels are 0, which is unknown; give some another id")
    assert run(picture, f"--keep={tmp_path / 'none.png'}") == 2
    error_line(capsys, "none.png")


def test_constraints_are_of_one_picture(run, picture, tmp_path, capsys, monkeypatch):
    other = save(tmp_path / "dog.png", tiny.image(20, 20))
    monkeypatch.setattr(options, "load_weights", lambda *_: pytest.fail("loaded"))
    assert run(picture, other, "--same=0,0;1,1") == 2
    error_line(capsys, "2 pictures are named, and --same can be of one alone; name one picture")
