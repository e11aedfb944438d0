import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitdiff_jax.data import file_names

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    "name", ["__MACOSX", "._a.png", ".DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "@eaDir"]
)
def test_what_systems_leave_behind(name):
    assert file_names.is_litter(name)


@pytest.mark.parametrize("name", ["a.png", "_MACOSX", "thumbs.png", "a.b", "masks"])
def test_what_is_somebodys_own(name):
    assert not file_names.is_litter(name)


@given(st.text() | st.binary().map(os.fsdecode) | st.text(st.characters(categories=["Cs", "L"])))
def test_any_name_becomes_text_and_text_stays(name):
    text = file_names.as_text(name)
    text.encode()
    assert file_names.as_text(text) == text
    try:
        name.encode()
    except UnicodeEncodeError:
        assert "\\" in text
    else:
        assert text == name


def test_bytes_are_shown():
    assert file_names.as_text(os.fsdecode(b"caf\xe9")) == r"caf\xe9"


def test_names_are_found_by_themselves_or_by_their_looks():
    table = file_names.NameTable(["a", DECOMPOSED, os.fsdecode(b"\xe9")])
    assert table.find("a") == "a" and table.find("b") is None
    assert table.find(COMPOSED) == table.find(DECOMPOSED) == DECOMPOSED
    assert table.find(r"\xe9") == os.fsdecode(b"\xe9")
    both = file_names.NameTable([COMPOSED, DECOMPOSED, "e\u0323\u0307", "e\u0307\u0323"])
    assert both.find(COMPOSED) == COMPOSED and both.find(DECOMPOSED) == DECOMPOSED
    assert both.find("\u1eb9\u0307") is None  # two look like it, and none is it


def test_files_are_found_on_the_disk(tmp_path):
    folder = tmp_path / DECOMPOSED
    folder.mkdir()
    (folder / f"{COMPOSED}.png").write_bytes(b"x")
    for first, second in ((COMPOSED, COMPOSED), (DECOMPOSED, DECOMPOSED), (COMPOSED, DECOMPOSED)):
        found = file_names.find(tmp_path / first / f"{second}.png")
        assert found is not None and found.read_bytes() == b"x"
    assert file_names.find(tmp_path / COMPOSED / "none.png") is None
    assert file_names.find("none/at/all") is None
