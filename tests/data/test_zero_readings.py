import pathlib
import re
import tempfile

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import folder, images, readers, zero_readings
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import truths

OBJECTS = np.zeros((24, 32), np.int32)
OBJECTS[4:10, 5:12] = 1
OBJECTS[12:20, 20:30] = 7


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def root(tmp_path):
    """Two images of objects on much 0, as label maps and as masks."""
    root = tmp_path / "set"
    for name in ("images", "labels", "masks/a", "masks/b"):
        (root / name).mkdir(parents=True)
    for name in ("a", "b"):
        image = np.full((24, 32, 3), 90, np.uint8)
        Image.fromarray(image).save(root / f"images/{name}.png")
        images.write_labels(root / f"labels/{name}.png", OBJECTS)
        for number in (1, 7):
            mask = np.where(number == OBJECTS, 255, 0).astype(np.uint8)
            Image.fromarray(mask).save(root / f"masks/{name}/{number}.png")
    return root


def sheet_of(text):
    """The sheet that a message names."""
    (path,) = re.findall(r"see them on one of yours: (\S+\.png)", text)
    return np.asarray(Image.open(path))


def check(text):
    assert "\n" not in text and "id 0 covers 84% of the label maps" in text
    for reading in ("zero=background (nuclei", "zero=ignore (not annotated", "zero=region (a"):
        assert reading in text
    return sheet_of(text)


@pytest.mark.parametrize(
    ("open_it", "columns"),
    [
        (lambda root: folder.FolderSource(root), 4),
        (lambda root: readers.make("masks", root), 4),
        (lambda root: truths.open_truths(str(root)), 4),
        (lambda root: truths.open_truths(str(root / "labels")), 3),
        (
            lambda root: truths.open_truths(
                str(root / "labels"), images_folder=str(root / "images")
            ),
            4,
        ),
    ],
    ids=["folder", "masks", "truth", "maps", "maps with images"],
)
def test_it_is_asked_what_zero_means(root, open_it, columns):
    with pytest.raises(InputError) as error:
        open_it(root)
    assert check(str(error.value)).shape[1] == 8 + columns * (256 + 8)


def test_every_command_asks(root, tmp_path, capsys):
    out = tmp_path / "out"
    for argv in (
        ["prepare", "folder", f"--source={root}", f"--out={out}"],
        ["prepare", "masks", f"--source={root}", f"--out={out}"],
        ["train", "--config=base:smoke", f"--config.data.train=folder:{root}", f"--workdir={out}"],
        ["evaluate", str(root / "labels"), str(root)],
        ["compare", str(root / "labels"), f"b={root / 'labels'}", f"--ground-truth={root}"],
    ):
        assert cli.main(argv) == 2
        check(capsys.readouterr().err.strip())


def test_the_sheet_shows_the_three_readings():
    image = np.full((*OBJECTS.shape, 3), 90, np.uint8)
    sheet = zero_readings.sheet(OBJECTS, image)
    cells = [sheet[32 : 32 + 192, 8 + k * 264 :][:, :256] for k in range(4)]
    place = (np.arange(192) * 24 // 192)[:, None], np.arange(256) * 32 // 256
    zero = OBJECTS[place] == 0
    photo, ignore, background, region = cells
    assert (photo == 90).all()
    assert (background[zero] == 0).all(-1).mean() > 0.95
    assert {120, 200} <= set(np.unique(ignore[zero])) <= {120, 200, 255}
    assert len(np.unique(region[zero].reshape(-1, 3), axis=0)) == 2  # a colour and boundaries
    for cell in (ignore, background):  # objects look the same in all of them
        np.testing.assert_array_equal(cell[~zero], region[~zero])


def test_the_share_is_that_of_all_and_the_typical_map_has_both():
    maps = [np.zeros(8, int), np.r_[[0] * 5, [1] * 3], np.ones(8, int), np.r_[[0], [1] * 7]]
    zeros = zero_readings.measure(4, lambda k: (maps[k],))
    assert zeros == (14 / 32, 1)
    assert zero_readings.measure(2, lambda k: (maps[2],)).share == 0

    def broken(k):
        if k == 0:
            raise InputError("no such file")
        return (maps[1],)

    assert zero_readings.measure(2, broken) == (5 / 8, 1)


def test_without_room_for_the_sheet_it_is_asked_all_the_same(root, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(root / "nowhere"))
    with pytest.raises(InputError, match=r"like the others\)$"):
        folder.FolderSource(root)


def test_few_pixels_of_no_mask_are_ignored_without_being_told(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(tmp_path / "images/a.png")
    mask = np.full((10, 10), 255, np.uint8)
    mask[:2] = 0
    Image.fromarray(mask).save(tmp_path / "masks/a/1.png")
    (labels,) = readers.make("masks", tmp_path)[0]["labels"]
    assert (labels[:2] == -1).all() and (labels[2:] == 1).all()
    assert not list(pathlib.Path(tempfile.gettempdir()).iterdir())
