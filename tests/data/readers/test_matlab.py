import io
import struct

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from bitdiff_jax.data.readers import matlab

_BOUND = 1 << 20


def saved(value, compress, **others):
    file = io.BytesIO()
    scipy.io.savemat(file, {**others, "value": value}, do_compression=compress)
    return file.getvalue()


def same(got, want):
    """Whether scipy's reading of a file is the same."""
    if want.dtype == object:
        return len(got) == want.size and all(map(same, got, want.ravel("F")))
    if want.dtype.names:
        return len(got) == want.size and all(
            set(fields) == set(want.dtype.names)
            and all(same(fields[name], each[name]) for name in fields)
            for fields, each in zip(got, want.ravel("F"), strict=True)
        )
    return got.shape == want.shape and (got == want).all()


_NUMBERS = st.builds(
    lambda dtype, shape, seed: np.random.default_rng(seed).integers(0, 100, shape).astype(dtype),
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, np.int64]),
    st.tuples(st.integers(0, 4), st.integers(1, 5)),
    st.integers(0, 99),
)
_VALUES = st.recursive(
    _NUMBERS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(
            lambda values: np.array([*values, None], object)[None, :-1]
        )
        | st.dictionaries(st.sampled_from(["Segmentation", "Boundaries", "x"]), inner, min_size=1)
    ),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(_VALUES, st.booleans())
def test_against_scipy(value, compress):
    data = saved(value, compress, before=np.ones((2, 3)))
    expected = scipy.io.loadmat(io.BytesIO(data))["value"]
    assert same(matlab.variable(data, "value", _BOUND), expected)
    assert matlab.variable(data, "absent", _BOUND) is None


def test_struct_arrays_go_by_columns():
    annotators = np.zeros((2, 2), [("Segmentation", object)])
    for k, place in enumerate(np.ndindex(2, 2)):
        annotators[place]["Segmentation"] = np.full((1, 1), k)
    found = matlab.variable(saved(annotators, True), "value", _BOUND)
    assert [int(each["Segmentation"][0, 0]) for each in found] == [0, 2, 1, 3]


def test_the_other_byte_order():
    def element(kind, data):
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    matrix = element(6, struct.pack(">II", 11, 0))  # class uint16
    matrix += element(5, struct.pack(">ii", 2, 3))
    matrix += struct.pack(">HH4s", 1, 1, b"v")  # a short element
    matrix += element(4, struct.pack(">6H", 1, 2, 3, 4, 5, 60000))
    data = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + element(14, matrix)
    expected = scipy.io.loadmat(io.BytesIO(data))["v"]
    np.testing.assert_array_equal(matlab.variable(data, "v", _BOUND), expected)
    np.testing.assert_array_equal(expected, [[1, 3, 5], [2, 4, 60000]])


def test_other_content_is_none():
    assert matlab.variable(saved("text", False), "value", _BOUND) is None


def test_deep_nesting_and_other_files_are_refused():
    value = np.ones((1, 1))
    for _ in range(12):
        value, inner = np.empty((1, 1), object), value
        value[0, 0] = inner
    for data in (saved(value, True), b"", b"x" * 500):
        with pytest.raises(ValueError, match=r"cells inside|MATLAB"):
            matlab.variable(data, "value", _BOUND)


def test_the_bound_counts_all_variables():
    data = saved(np.zeros((1, 6000)), True, before=np.zeros((1, 6000)))
    assert matlab.variable(data, "value", 2 * 48_200).shape == (1, 6000)
    with pytest.raises(ValueError, match="inflates"):
        matlab.variable(data, "value", 90_000)


@pytest.mark.parametrize("compress", [False, True])
def test_damaged_files_raise_value_errors(compress):
    cells = np.empty((1, 3), object)
    for k in range(3):
        cells[0, k] = {
            "Segmentation": np.ones((12, 17), np.uint16),
            "Boundaries": np.ones((12, 17)),
        }
    whole = saved(cells, compress)
    rng = np.random.default_rng(0)
    refusals = 0
    for _ in range(1000):
        data = bytearray(whole)
        # Most damage falls among the lengths and types at the beginning.
        reach = len(data) if rng.random() < 0.3 else 400
        for place in rng.integers(min(reach, len(data)), size=rng.integers(1, 6)):
            data[place] = rng.choice([0, 1, 14, 127, 128, 255, rng.integers(256)])
        if rng.random() < 0.2:
            del data[rng.integers(len(data)) :]
        try:
            matlab.variable(bytes(data), "value", _BOUND)
        except ValueError:
            refusals += 1
    assert refusals > 100
