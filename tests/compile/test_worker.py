"""What the compiling process reads from the compiler."""

import subprocess

import pytest

from bitdiff_jax.compile import accelerators, remote, worker
from bitdiff_jax.errors import InputError


@pytest.mark.parametrize(
    ("message", "needed"),
    [
        (
            "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
            "temporaries (256.00G) exceeds available HBM (15.75G).",
            256 * 2**30,
        ),
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory "
            "space hbm. Used 20.50G of 15.75G hbm. Exceeded hbm capacity by 4.75G.",
            41 * 2**29,
        ),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem. Used 20M of 16M vmem.", None),
        ("INTERNAL: something else", None),
    ],
)
def test_what_a_program_would_need_is_read_from_the_compilers_error(message, needed):
    assert worker.memory_needed(message) == needed


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (
            "Traceback ...\njax.errors.JaxRuntimeError: INTERNAL: no\n---\nFor simplicity",
            "INTERNAL",
        ),
        ("Killed\n", "exit code -9"),
    ],
)
def test_a_compiler_that_breaks_down_is_an_error_of_one_line(monkeypatch, tmp_path, stderr, said):
    def run(*_, **__):
        return subprocess.CompletedProcess([], -9, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(accelerators, "require_compiler", lambda accelerator: None)
    with pytest.raises(InputError) as error:
        remote.compile_remotely(remote.Request({}, "v5e-8", "train", 8, str(tmp_path)))
    assert f"v5e-8: the compiler broke down ({said}" in str(error.value).replace(
        "jax.errors.JaxRuntimeError: ", ""
    )
    assert "\n" not in str(error.value)


def test_where_programs_are_noted(monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "/somewhere")
    assert remote.folder() == "/somewhere/compiled"
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    assert remote.folder() is None
