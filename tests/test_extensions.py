import sys

import pytest

from bitdiff_jax import extensions
from bitdiff_jax.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_parts.py").write_text("class Outer:\n    inner = 3\n")
    (tmp_path / "my_broken.py").write_text("1 / 0\n")
    (tmp_path / "my_needy.py").write_text("import no_such_module_here\n")
    yield tmp_path
    for name in ("my_parts", "my_broken", "my_needy", "my_raising"):
        sys.modules.pop(name, None)


def test_what_lies_in_the_working_folder_is_found(folder):
    assert extensions.resolve("my_parts:Outer", "key").__name__ == "Outer"
    assert extensions.resolve("my_parts:Outer.inner", "key") == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("my_parts", "form package.module:name; write it so"),
        (
            "my_parts:Other",
            r"my_parts has no Other; did you mean Outer\?; correct it, or define it",
        ),
        ("my_parts:Outer.other", "my_parts has no Outer.other; .*correct it, or define it there"),
        ("os.path:join2", r"os.path has no join2; did you mean join\?; correct it, or define it"),
        ("my_absent:thing", "no module 'my_absent'; install it, or run"),
        ("my_needy:thing", "needs the module 'no_such_module_here', .*; install it"),
        ("my_broken:thing", "ZeroDivisionError.*; correct it, or name another module"),
    ],
)
def test_one_line_says_what_is_wrong(folder, text, says):
    with pytest.raises(InputError, match=says) as caught:
        extensions.resolve(text, "model.net.implementation")
    assert str(caught.value).startswith(f"model.net.implementation={text!r}")


@pytest.mark.parametrize("text", ["folder:/data/x", "folder:../x", "a:", ":a", "a b:c", "1a:b"])
def test_paths_are_no_references(text):
    assert not extensions.is_reference(text)


def test_a_module_that_ends_and_one_named_as_a_file(folder):
    (folder / "my_script.py").write_text("import sys\n\nsys.exit(3)\n")
    with pytest.raises(InputError, match=r"SystemExit: 3, my_script\.py line 3"):
        extensions.resolve("my_script:thing", "key")
    with pytest.raises(InputError, match=r"names a file; say my_parts:Outer"):
        extensions.resolve("my_parts.py:Outer", "key")


def test_what_someone_elses_code_raised_is_one_line(folder):
    (folder / "my_raising.py").write_text("def fail():\n    raise ValueError('two\\nlines')\n")
    try:
        extensions.resolve("my_raising:fail", "key")()
    except ValueError as error:
        assert extensions.failure(error) == "ValueError: two lines, my_raising.py line 2"
    assert extensions.failure(KeyError()) == "KeyError"
