import sys

import pytest

from bitdiff_jax.cli import main as cli


def test_without_gradio_it_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["serve"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "bitdiff serve: error: the page needs gradio: pip install 'bitdiff_jax[serve]'\n"
    )


@pytest.mark.parametrize("argument", ["--keep_minutes=0", "--max_megapixels=x", "--prot=1"])
def test_an_option_that_cannot_be(argument, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["serve", argument])
    assert stop.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_what_the_server_is_told(monkeypatch):
    from bitdiff_jax.serve import server
    from tests.inference import tiny

    told = []
    monkeypatch.setattr(server, "check_installed", lambda: None)
    monkeypatch.setattr(server, "run", lambda *arguments: told.append(arguments))
    argv = ["serve", f"--weights={tiny.shared()[0]}", "--port=80", "--keep_minutes=2"]
    assert cli.main([*argv, "--max_megapixels=3", "--max_megabytes=4"]) == 0
    ((service, host, port),) = told
    assert (host, port) == ("127.0.0.1", 80)
    limits = service.limits
    assert (limits.max_pixels, limits.max_bytes, limits.keep_seconds) == (3_000_000, 4_000_000, 120)
    assert limits.keep_text == "2 minutes"
