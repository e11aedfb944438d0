"""Values as tools write them: what means one thing is taken, the rest is refused by name."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitdiff_jax.data.readers import json_values
from bitdiff_jax.errors import InputError

NOTHING_WHOLE = [
    None,
    True,
    False,
    "",
    " ",
    "a",
    "1.5",
    "1_0",
    "0x1",
    "\u0661",
    [1],
    {},
    1.5,
    math.nan,
]
NOTHING_WHOLE += [math.inf, 1e300, "1" * 40]


def refused(read, value, *arguments):
    with pytest.raises(InputError, match=r"^f\.json: record 3, field is ") as error:
        read(value, "f.json: record 3, field", *arguments)
    message = str(error.value)
    assert "\n" not in message and repr(value)[:57] in message
    return message


@pytest.mark.parametrize("value", [0, 0.0, -0.0, False, "0", " 0 ", "false", "False", "0.0", None])
def test_what_is_false(value):
    assert json_values.flag(value, "") is False


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "true", "TRUE", "1.0"])
def test_what_is_true(value):
    assert json_values.flag(value, "") is True


@pytest.mark.parametrize("value", [2, -1, 0.5, "", "no", "2", [], [0], {}, math.nan])
def test_what_is_no_flag(value):
    assert "0 or 1" in refused(json_values.flag, value)


@pytest.mark.parametrize("value", [24, 24.0, "24", " 24", "24.0", "24.", "+24", "024"])
def test_ways_to_write_a_whole_number(value):
    found = json_values.whole_number(value, "")
    assert found == 24 and type(found) is int


@pytest.mark.parametrize("value", NOTHING_WHOLE)
def test_what_is_no_whole_number(value):
    refused(json_values.whole_number, value)


def test_bounds_are_told():
    assert json_values.whole_number("1", "", 1, 9) == 1
    assert "from 1 up to 9" in refused(json_values.whole_number, -1, 1, 9)
    assert "from 1 up to 9" in refused(json_values.whole_number, "10", 1, 9)
    refused(json_values.whole_number, 2**70)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.98, 0.98), ("0.98", 0.98), (1, 1.0), ("1e-3", 0.001), ("-2", -2.0)]
)
def test_ways_to_write_a_number(value, expected):
    found = json_values.number(value, "")
    assert found == expected and type(found) is float


@pytest.mark.parametrize(
    "value", [None, True, "", "a", "1_0", "nan", math.nan, math.inf, "-inf", [1], {}, 10**400]
)
def test_what_is_no_number(value):
    refused(json_values.number, value)


@pytest.mark.parametrize("value", [139, 139.0, "139", " 139", "139.0", "+139"])
def test_ways_to_write_an_id(value):
    found = json_values.identity(value, "")
    assert found == 139 and type(found) is int


@pytest.mark.parametrize("text", ["000139", "a", "-", "1.5", "val/1", "1" * 40])
def test_other_ids_are_texts(text):
    assert json_values.identity(text, "") == text


@pytest.mark.parametrize("value", [None, True, 1.5, "", " ", [1], {}, math.nan, math.inf])
def test_what_is_no_id(value):
    refused(json_values.identity, value)


@given(st.integers(-(10**17), 10**17))
def test_an_id_is_the_same_in_every_way_of_writing(number):
    ways = {number, str(number), *([float(number)] if abs(number) <= 2**53 else [])}
    assert {json_values.identity(way, "") for way in ways} == {number}


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_an_id_is_the_id_of_itself(text):
    once = json_values.identity(text, "")
    assert json_values.identity(once, "") == once


def test_ids_with_and_without_zeros_in_front_find_each_other():
    table = json_values.IdTable({139: "a", "0007": "b", "x": "c"})
    assert [table.find(key) for key in (139, "000139", 7, "0007", "007", "x")] == [*"aabbbc"]
    assert [table.find(key) for key in (8, "08", "y")] == [None] * 3
    both = json_values.IdTable({"07": "a", "007": "b"})
    assert both.find("07") == "a" and both.find(7) is None and both.find("7") is None
    mixed = json_values.IdTable({7: "a", "007": "b"})
    assert mixed.find(7) == "a" and mixed.find("007") == "b" and mixed.find("07") == "a"


def test_names_of_files():
    assert json_values.file_name("a/b.jpg", "") == "a/b.jpg"
    assert json_values.file_name("val\\b c.jpg", "") == "val/b c.jpg"


@pytest.mark.parametrize(
    "value",
    ["", "/a", "..", "a/../b", "..\\a", "\\a", "C:\\a", "a\0", "\ud800", None, 3, ["a"]],
)
def test_names_that_lead_out_of_the_folder(value):
    refused(json_values.file_name, value)
