import errno
import os
import subprocess
import sys

import pytest

import bitdiff_jax
from bitdiff_jax.cli import main as cli


def test_help_names_every_subcommand(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli._COMMANDS)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["tran"], "did you mean train?"),
        (["frobnicate"], "unknown subcommand 'frobnicate'; known are"),
        (["train", "--config=nonsense", "--workdir=x"], "there is no config 'nonsense'"),
        (
            ["train", "--config=base", "--workdir=x", "--config.optimizer.lr=1"],
            "config.optimizer.lr",
        ),
        (["evaluate", "--checkpoint=/nonexistent", "--data=scenes"], "/nonexistent"),
        (["segment", "/nonexistent.png", "--checkpoint=/nonexistent", "--out=x"], "/nonexistent"),
    ],
)
def test_errors_are_one_line_and_exit_2(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and "Traceback" not in err


def test_the_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"bitdiff_jax {bitdiff_jax.__version__} (jax ")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "x", "runs/a"), "runs/a: permission denied; change its"),
        (IsADirectoryError(errno.EISDIR, "x", "a.yaml"), "a.yaml: is a folder; name a file"),
        (NotADirectoryError(errno.ENOTDIR, "x", "a/b"), "a/b: is inside a file; name a folder"),
        (OSError(errno.EROFS, "x", "/mnt/a"), "/mnt/a: is on a disk that can only be read"),
        (OSError(errno.ENOSPC, "x"), "no space left; free some and run it again"),
        (KeyError("https://"), "https:// cannot be read or written here; use a local path"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, message, capsys, monkeypatch):
    def refused(argv):
        raise error

    monkeypatch.setattr("bitdiff_jax.cli.prepare.main", refused)
    assert cli.main(["prepare"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"bitdiff prepare: error: {message}") and err.count("\n") == 1


def test_an_address_is_no_path(capsys):
    argv = ["segment", "https://a.b/c.png", "--checkpoint=x", "--out=y"]
    assert cli.main(argv) == 2
    assert capsys.readouterr().err.startswith("bitdiff segment: error: https:// cannot be read")


@pytest.mark.parametrize(
    "error", [RuntimeError("mine"), AssertionError(), OSError("other"), KeyError("name")]
)
def test_errors_of_the_program_are_not_hidden(error, monkeypatch):
    def broken(argv):
        raise error

    monkeypatch.setattr("bitdiff_jax.cli.prepare.main", broken)
    with pytest.raises(type(error)):
        cli.main(["prepare"])


@pytest.mark.multiprocess
@pytest.mark.parametrize("platform", ["cuda", "tpu", "nonsense"])
def test_a_device_that_is_not_there_is_one_line(platform, tmp_path):
    argv = ["train", "--config=base:smoke", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(
        [sys.executable, "-m", "bitdiff_jax", *argv],
        env={**os.environ, "JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"error: JAX_PLATFORMS={platform}: jax finds no such device here" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.multiprocess
def test_the_module_runs():
    done = subprocess.run([sys.executable, "-m", "bitdiff_jax"], capture_output=True, text=True)
    assert done.returncode == 2 and "quickstart" in done.stdout
