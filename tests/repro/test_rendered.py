import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.repro import rendered
from bitdiff_jax.repro.rendered import RenderedScenes
from bitdiff_jax.scenes import SceneSource


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(rendered, "BLOCK", 4)
    rendered._block.cache_clear()
    yield
    rendered._block.cache_clear()


def test_scenes_are_those_of_the_source(tmp_path):
    kept = RenderedScenes(level="0", size="16", seed="3", length="6")
    scenes = SceneSource(level=0, size=16, seed=3, length=6)
    assert len(kept) == 6
    for i in (5, 0):
        assert kept[i]["name"] == scenes[i]["name"]
        np.testing.assert_array_equal(kept[i]["image"], scenes[i]["image"])
        np.testing.assert_array_equal(kept[i]["labels"][0], scenes[i]["labels"][0])
        assert kept[i]["labels"][0].dtype == np.int32
    assert len(list((tmp_path / "scenes").iterdir())) == 2


def test_a_damaged_file_is_drawn_again(tmp_path):
    options = {"level": 0, "size": 16, "length": 2}
    before = RenderedScenes(**options)[1]["image"]
    (path,) = (tmp_path / "scenes").iterdir()
    path.write_bytes(path.read_bytes()[:200])
    rendered._block.cache_clear()
    np.testing.assert_array_equal(RenderedScenes(**options)[1]["image"], before)


def test_what_was_drawn_is_read_and_not_drawn_again(monkeypatch):
    options = {"level": 0, "size": 16, "length": 2}
    RenderedScenes(**options)[0]
    rendered._block.cache_clear()
    monkeypatch.setattr(SceneSource, "__getitem__", None)
    assert RenderedScenes(**options)[1]["image"].shape == (16, 16, 3)


def test_middle_rows_are_kept():
    whole = RenderedScenes(level=0, size=16, length=2)[0]
    middle = RenderedScenes(level=0, size=16, length=2, height=8)[0]
    np.testing.assert_array_equal(middle["image"], whole["image"][4:12])
    np.testing.assert_array_equal(middle["labels"][0], whole["labels"][0][4:12])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": "wide"}, "size='wide'"), ({"height": 40}, "height=40"), ({"level": 9}, "level=9")],
)
def test_what_cannot_be_drawn_is_named(options, message):
    with pytest.raises(InputError, match=message):
        RenderedScenes(**options)


def test_an_index_beyond_the_end():
    with pytest.raises(IndexError):
        RenderedScenes(level=0, size=16, length=2)[2]
