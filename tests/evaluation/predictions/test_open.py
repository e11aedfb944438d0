"""Which kind a path is, and the names of pictures."""

import numpy as np
import pytest

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import KINDS, open_predictions, written_names
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule
from tests.evaluation.predictions import forms


def test_what_is_not_there(tmp_path):
    for path, words in (
        (tmp_path / "none", "no such file or folder"),
        (tmp_path, "no predictions that are known"),
    ):
        with pytest.raises(InputError, match=words):
            open_predictions(path)
    for kind in KINDS:
        for path in (tmp_path, tmp_path / "none"):
            with pytest.raises(InputError) as error:
                open_predictions(path, kind)
            assert "\n" not in str(error.value)


def test_kinds_and_options_are_checked(tmp_path):
    images.write_labels(tmp_path / "a.png", np.zeros((2, 2), int))
    with pytest.raises(InputError, match="kind='jpg' is not known"):
        open_predictions(tmp_path, "jpg")
    with pytest.raises(InputError, match="rule= is not for predictions of kind 'png'"):
        open_predictions(tmp_path, rule=Rule())
    with pytest.raises(InputError, match="name a JSON file"):
        open_predictions(tmp_path / "a.png")


def test_several_kinds_in_a_folder(tmp_path):
    images.write_labels(tmp_path / "a.png", np.zeros((2, 2), int))
    forms.write_json(tmp_path / "settings.json", {"threshold": 0.5})
    assert open_predictions(tmp_path).kind == "png"
    np.save(tmp_path / "a.npy", np.zeros((2, 2), int))
    with pytest.raises(InputError, match="holds npz and png"):
        open_predictions(tmp_path)
    assert open_predictions(tmp_path, "npz").kind == "npz"
    with pytest.raises(InputError, match="no predictions that are known"):
        open_predictions(tmp_path / "settings.json")


def test_names():
    names = Names(["val/000000000139.jpg", "a.b.png", "x/s.jpg", "y/s.jpg", "7", "007.png"])
    for written, expected in {
        139: "val/000000000139.jpg",
        "139": "val/000000000139.jpg",
        "000000000139.png": "val/000000000139.jpg",
        "elsewhere/000000000139": "val/000000000139.jpg",
        "a.b": "a.b.png",
        "a.b.tif": "a.b.png",
        "s": "s",  # of two pictures
        "x/s.jpg": "x/s.jpg",
        7: "7",
        "0007": "0007",  # of two pictures
        "new.jpg": "new",
        "v1.5": "v1.5",
    }.items():
        assert names.name(written) == expected, written
    with pytest.raises(InputError, match=r"139 and '139.png' are both picture 'val/0+139.jpg'"):
        names.table([139, "139.png"], "here")
    assert Names().name("a/b.jpg") == "a/b"


def test_names_from_other_systems():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for truth, written in ((composed, decomposed), (decomposed, composed)):
        names = Names([f"val/{truth}.jpg", "b"])
        assert names.name(written) == names.name(f"{written}.png") == f"val/{truth}.jpg"
    assert Names([composed, decomposed]).name(decomposed) == decomposed
    names = Names(["val/a.jpg", "000139", "x\\y"])
    assert names.name("C:\\out\\a.png") == "val/a.jpg" and names.name("out\\139.png") == "000139"
    assert names.name("x\\y.png") == "x\\y" and names.name("out\\new.png") == "out\\new"
    assert names.name("caf\udce9.png") == r"caf\xe9" and names.name("\ud800") == r"\ud800"


@pytest.mark.parametrize("names", ["whole", "sample_suffix"])
def test_how_names_are_meant_is_for_files_alone(tmp_path, names):
    np.save(tmp_path / "a_0.npy", np.zeros((2, 2), int))
    np.save(tmp_path / "a_1.npy", np.zeros((2, 2), int))
    assert open_predictions(tmp_path, names=names).names == ("a_0", "a_1")
    assert written_names(tmp_path) == (("a_0", "a_1"), False)
    for k in range(2):
        (tmp_path / f"a_{k}.npy").unlink()
        images.write_labels(tmp_path / f"a_{k}.png", np.zeros((2, 2), int))
    expected = ("a",) if names == "sample_suffix" else ("a_0", "a_1")
    assert open_predictions(tmp_path, names=names).names == expected
    assert written_names(tmp_path) == (("a_0", "a_1"), True)
    with pytest.raises(InputError, match="names='all' is not known"):
        open_predictions(tmp_path, names="all")
