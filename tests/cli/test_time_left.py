import pytest

from bitdiff_jax.cli import time_left


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time_left.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def lines_of(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_rate_and_the_time_left(capsys, clock):
    progress = time_left.Progress()
    progress(1000, 9000, 1000)
    for done in range(1001, 9001):
        clock.now += 0.5
        progress(done, 9000, 1000)
    lines = lines_of(capsys)
    assert lines[0] == "1000 of 9000 pictures were there already"
    assert lines[1] == "1020 of 9000 pictures, 2 a second, 1:06:30 left"
    assert lines[-1] == "9000 of 9000 pictures, 2 a second, 0:00 left"
    assert 300 < len(lines) < 410


@pytest.mark.parametrize("there", [0, None])
def test_the_first_image_is_not_extrapolated(capsys, clock, there):
    """It takes 290 seconds more, for compilation."""
    progress = time_left.Progress(log_seconds=60)
    for done in range(1, 5):
        clock.now += 300 if done == 1 else 70
        progress(done, 4, there)
    assert lines_of(capsys) == [
        "1 of 4 pictures",
        "2 of 4 pictures, 70.0 seconds a picture, 2:20 left",
        "3 of 4 pictures, 70.0 seconds a picture, 1:10 left",
        "4 of 4 pictures, 127.5 seconds a picture, 0:00 left",
    ]


def test_images_that_come_in_batches(capsys, clock):
    """A second for eight, after a hundred seconds of compilation."""
    progress = time_left.Progress("features of ", log_seconds=0.5)
    clock.now = 100.0
    for done in range(1, 81):
        clock.now += 1 if done % 8 == 1 else 0.001
        progress(done, 80, 0)
    lines = lines_of(capsys)
    assert lines[0] == "features of 1 of 80 pictures"
    late = next(line for line in lines if "57 of 80" in line)
    assert late == "features of 57 of 80 pictures, 7 a second, 0:03 left"


def test_one_image(capsys, clock):
    progress = time_left.Progress()
    clock.now = 0.25
    progress(1, 1)
    assert lines_of(capsys) == ["1 of 1 pictures, 4 a second, 0:00 left"]


@pytest.mark.parametrize(("seconds", "lines"), [(15, 0), (40, 2)])
def test_brief_work_leaves_no_line_in_a_log(capsys, clock, seconds, lines):
    progress = time_left.Progress(log_seconds=60, brief=True)
    for done in (1, 2):
        clock.now += seconds * done
        progress(done, 3, 0)
    progress(3, 3, 0)
    assert len(lines_of(capsys)) == lines


def test_images_in_no_time(capsys, clock):
    progress = time_left.Progress(log_seconds=0.0)
    for done in (1, 2):
        progress(done, 2, 0)
    assert lines_of(capsys)[-1].startswith("2 of 2 pictures, ")


def test_a_terminal_is_written_over(capsys, clock, monkeypatch):
    monkeypatch.setattr(time_left.sys.stderr, "isatty", lambda: True, raising=False)
    progress = time_left.Progress()
    for done in range(1, 4):
        clock.now += 2
        progress(done, 3, 0)
    assert capsys.readouterr().err == (
        "\r1 of 3 pictures\x1b[K\r2 of 3 pictures, 2.0 seconds a picture, 0:02 left\x1b[K"
        "\r3 of 3 pictures, 2.0 seconds a picture, 0:00 left\n"
    )
