import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitdiff_jax.data import spec_text
from bitdiff_jax.errors import InputError

_KINDS = st.sampled_from(["folder", "tfds", "package.module"])
_KEYS = st.from_regex(r"[a-z_]{1,9}", fullmatch=True)
# What a path on a disk may hold: anything but NUL, bytes that are no UTF-8 included.
_TEXTS = st.text() | st.binary(max_size=9).map(os.fsdecode)
_PATHS = _TEXTS | st.text(alphabet='a,;"=: ~/')


@given(st.lists(st.tuples(_KINDS, _PATHS, st.dictionaries(_KEYS, _PATHS, max_size=3)), max_size=3))
def test_what_is_written_can_be_taken_back(specs):
    text = ";".join(spec_text.write(*spec) for spec in specs)
    found = spec_text.parse(text)
    assert [(spec.kind, spec.path, dict(spec.options)) for spec in found] == specs
    assert [spec.text for spec in found] == [spec_text.write(*spec).strip() for spec in specs]


@pytest.mark.parametrize("path", ["/data/a b", "gs://bucket/a", "C:\\a", 'a"b', "a=b", "100%"])
def test_plain_paths_need_no_quotes(path):
    assert spec_text.write("folder", path, {"split": "train"}) == f"folder:{path},split=train"


def test_quotes():
    (first, second) = spec_text.parse('masks: "/a, ""b"";c" ,zero = "x,y" ;; scenes , level=1;')
    assert (first.kind, first.path, first.options) == ("masks", '/a, "b";c', {"zero": "x,y"})
    assert (second.kind, second.path, second.options) == ("scenes", "", {"level": "1"})
    assert second.text == "scenes , level=1"


def test_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = spec_text.parse('folder:~/a;folder:"~/a";folder:b~/a;folder:~')
    assert [spec.path for spec in found] == ["/home/me/a", "~/a", "b~/a", "/home/me"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folder:/a,b", r"'b' in 'folder:/a,b' is not of the form key=value; .* double quotes"),
        ('folder:"/a,split=b', "has no end"),
        ('folder:"/a"b', "has no end"),
        ('folder:/a,split="b', "has no end"),
        ("folder:/a,=b", "key=value"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    with pytest.raises(InputError, match=words) as error:
        spec_text.parse(text)
    assert "\n" not in str(error.value)
