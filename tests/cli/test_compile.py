"""`bitdiff compile`, with a compiler that answers at once."""

import json

import pytest

from bitdiff_jax.cli import compile as command
from bitdiff_jax.cli import main
from bitdiff_jax.compile import accelerators, remote
from bitdiff_jax.errors import InputError
from tests.tools.test_costs import TPU

GIB = 2**30


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The requests that the command made; memory is 1 GiB and a quarter for each image."""
    requests = []

    def answer(request):
        requests.append(request)
        each = request.batch_size // accelerators.find(request.accelerator).devices
        zeros = dict.fromkeys(("arguments", "outputs", "aliased", "code", "peak"), 0)
        return remote.Measured(
            program=request.program, accelerator=request.accelerator,
            batch_size=request.batch_size, key="k", versions={"libtpu": "1"}, date="2026-01-02",
            lower_seconds=1, compile_seconds=60,
            memory={**zeros, "temporaries": GIB + each * GIB // 4},
        )  # fmt: skip

    monkeypatch.setattr(remote, "compile_remotely", answer)
    monkeypatch.setattr(remote, "program_text", lambda measured, folder: TPU)
    monkeypatch.setattr(accelerators, "require_compiler", lambda accelerator: None)
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path / "cache"))
    return requests


def run(*arguments):
    return main.main(["compile", "--config", "base:smoke", *arguments])


@pytest.mark.slow
def test_both_programs_and_the_largest_batch(asked, capsys, tmp_path):
    out = tmp_path / "figures.json"
    assert run("--accelerator", "v5e-4", "--json", str(out)) == 0
    # The config's 8 on 4 chips; 8 and 16 a chip for the line, and 59, which it promises.
    assert [(r.program, r.batch_size) for r in asked] == [
        ("train", 8), ("train", 32), ("train", 64), ("train", 236), ("sample", 8),
    ]  # fmt: skip
    printed = capsys.readouterr().out
    for words in ("training step", "59 images a device", "sampler, one map", "2 a device, 8 in"):
        assert words in printed
    assert "note:" not in printed
    cost = json.loads(out.read_text())
    assert [p["measured"]["program"] for p in cost["programs"]] == ["train", "sample"]
    assert cost["fit"]["largest"] == 59
    assert cost["fit"]["image_bytes"] == GIB / 4


def test_another_batch_is_told(asked, capsys):
    arguments = ("--per-device-batch", "3", "--program", "train", "--no_fit")
    assert run("--accelerator", "v5e-4", *arguments) == 0
    assert [r.batch_size for r in asked] == [12]
    assert "12 images a step, where the config has 8" in capsys.readouterr().out


@pytest.mark.slow
def test_settings_reach_the_compiler(asked):
    run("--accelerator", "h100", "--program", "sample", "--config.model.net.dtype=bfloat16")
    assert asked[0].config["model"]["net"]["dtype"] == "bfloat16" and len(asked) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accelerator", "v5e-256"], "batch_size=8 cannot be shared out among 256 devices; give"),
        (["--accelerator", "v5e-3"], "--accelerator 'v5e-3' is not known"),
        (["--accelerator", "v5e-4", "--per_device_batch", "0"], "--per_device_batch is 0"),
        (["--accelerator", "v5e-4", "--config.modle=1"], "unknown setting"),
    ],
)
def test_errors_of_the_user_are_one_line(asked, capsys, arguments, message):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("bitdiff compile: error: ") and message in error
    assert error.count("\n") == 1 and not asked


def test_a_missing_compiler_is_told_before_anything_is_done(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("--accelerator", "v5e-4") == 2
    assert "pip install 'bitdiff_jax[compile]'" in capsys.readouterr().err


def test_the_batch_of_a_device():
    config = command.config_lib.load("base:smoke")
    assert command.per_device_batch(config, 8, None) == 1
    assert command.per_device_batch(config, 3, 5) == 5
    with pytest.raises(InputError, match="cannot be shared out"):
        command.per_device_batch(config, 3, None)
