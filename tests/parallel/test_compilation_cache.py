import os
import pathlib
import threading
import time
import warnings

import jax
import jax.numpy as jnp
import pytest

from bitdiff_jax import traces
from bitdiff_jax.parallel import compilation_cache

_OPTIONS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture(autouse=True)
def restore():
    before = {name: getattr(jax.config, name) for name in _OPTIONS}
    jax.config.update("jax_compilation_cache_dir", None)
    show = warnings.showwarning
    yield
    warnings.showwarning = show
    traces.keep_in(None)
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.jax_cache.reset_cache()


def test_programs_are_kept_in_the_folder_named(tmp_path, monkeypatch):
    jnp.ones(3).block_until_ready()  # something was compiled before
    folder = tmp_path / "deep" / "cache"
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(folder))
    assert compilation_cache.enable() == folder
    assert compilation_cache.enable() == folder
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.jit(lambda x: jnp.sin(x) * 3 + 1)(jnp.ones(7)).block_until_ready()
    assert any(folder.iterdir())


def test_without_a_name_it_is_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("BITDIFF_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compilation_cache.enable() == tmp_path / ".cache" / "bitdiff_jax"
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 1.0


def test_an_empty_name_turns_it_off(monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    assert compilation_cache.enable() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_a_folder_that_cannot_be_had_turns_it_off(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path / "file"))
    assert compilation_cache.enable() is None
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert compilation_cache.enable() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_a_folder_that_jax_was_told_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path / "ours"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    assert compilation_cache.enable() == pathlib.Path(tmp_path / "theirs")
    assert not (tmp_path / "ours").exists()


def test_the_notice_comes_only_if_it_takes_long():
    noticed = threading.Event()
    with compilation_cache.when_slow(noticed.set, seconds=0.01):
        assert noticed.wait(timeout=10)
    noticed.clear()
    with compilation_cache.when_slow(noticed.set, seconds=0.2):
        pass
    time.sleep(0.3)
    assert not noticed.is_set()


def test_the_notice_does_not_come_after_an_error():
    noticed = threading.Event()
    with pytest.raises(KeyError), compilation_cache.when_slow(noticed.set, seconds=0.1):
        raise KeyError
    time.sleep(0.2)
    assert not noticed.is_set()
    with compilation_cache.when_slow(None):
        pass


def test_a_damaged_program_is_removed_and_kept_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path))
    compilation_cache.enable()
    compilation_cache.enable()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

    def run():
        """As in a new process."""
        jax.clear_caches()
        return jax.jit(lambda x: jnp.cos(x) * 5 + 1)(jnp.zeros(9)).block_until_ready()

    def entries():
        return {path.name: path.read_bytes() for path in tmp_path.glob("jit__lambda*-cache")}

    # pytest keeps warnings for itself; outside they come here.
    shown = warnings.showwarning
    run()
    (name,) = kept = entries()
    (tmp_path / name).write_bytes(kept[name][:40])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = shown
        assert (run() == 6).all()
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"warning: a compiled program in {tmp_path} could not" in told
    assert len(entries()[name]) > 40
    run()
    assert capsys.readouterr().err == ""


def test_a_program_that_cannot_be_kept_is_told_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", str(tmp_path))
    compilation_cache.enable()
    for name in ("jit_f-123-cache", "jit_f2-123-cache"):
        (tmp_path / name).write_bytes(b"")
    compilation_cache._show_warning(
        UserWarning(
            "Error writing persistent compilation cache entry for 'jit_f': OSError: [Errno 28] "
            "No space left on device"
        ),
        UserWarning, "compiler.py", 833, folder=tmp_path, otherwise=None,
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["jit_f2-123-cache"]
    assert "compiled again the next time (OSError: [Errno 28] No space" in capsys.readouterr().err


def test_other_warnings_are_shown_as_before(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(warnings, "showwarning", lambda *message, **_: seen.append(message[0]))
    compilation_cache._tend(tmp_path)
    compilation_cache._tend(tmp_path)
    warnings.showwarning("another", UserWarning, "file.py", 1)
    assert seen == ["another"]
