import subprocess
import sys

import pytest

from bitdiff_jax.cli import main as cli


def test_help_names_every_subcommand(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli._COMMANDS)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["tran"], "unknown subcommand 'tran'; known are"),
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


@pytest.mark.multiprocess
def test_the_module_runs():
    done = subprocess.run([sys.executable, "-m", "bitdiff_jax"], capture_output=True, text=True)
    assert done.returncode == 2 and "quickstart" in done.stdout
