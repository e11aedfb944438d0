"""What the tests of `bitdiff segment` write, and read of its results."""

import csv

from PIL import Image


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def table(out):
    with open(out / "regions.csv", newline="") as file:
        return list(csv.DictReader(file))


def rows(out):
    with open(out / "images.csv", newline="") as file:
        return list(csv.DictReader(file))


def error_line(capsys, *parts):
    """The one line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bitdiff segment: error: ")
    for part in parts:
        assert part in line
    return line
