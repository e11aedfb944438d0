import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import traces
from bitdiff_jax.diffusion import schedules
from bitdiff_jax.encoding.bits import BitEncoding
from bitdiff_jax.nets.unet import UNet


@pytest.fixture
def folder(tmp_path):
    traces.keep_in(tmp_path / "traces")
    yield tmp_path / "traces"
    traces.keep_in(None)


@pytest.fixture
def traced():
    """A function, and how often it was traced."""
    count = []

    def double(x):
        count.append(1)
        return {"twice": 2 * x}

    return double, count


def jitted(function):
    """A jit that shares nothing with others of the same function, as in a new process."""
    return jax.jit(lambda x: function(x))


def run(double, made_of=("double", 1)):
    x = jnp.arange(3.0)
    return traces.program(jitted(double), (x,), made_of).compile()(x)["twice"]


def test_a_program_is_traced_once_for_all_processes(folder, traced):
    double, count = traced
    for _ in range(3):
        np.testing.assert_array_equal(run(double), [0, 2, 4])
    assert len(count) == 1 and len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "changed", [("double", 2), ("other", 1), ("double", schedules.cosine()), ("double", None)]
)
def test_what_it_is_made_of_tells_programs_apart(folder, traced, changed):
    double, count = traced
    run(double)
    run(double, changed)
    assert len(count) == 2


def test_so_do_shapes_settings_and_the_source(folder, traced, monkeypatch):
    double, count = traced
    run(double)
    with jax.default_matmul_precision("float32"):
        run(double)
    x = jnp.arange(4.0)
    traces.program(jitted(double), (x,), ("double", 1))
    traces.program(jitted(double), (x.astype(jnp.int32),), ("double", 1))
    monkeypatch.setattr(traces, "_source", lambda: "edited")
    run(double)
    assert len(count) == 5


def test_none_is_kept_until_it_is_asked_for(tmp_path, traced):
    double, count = traced
    run(double)
    run(double)
    assert len(count) == 2


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
    dtype: type = jnp.float32  # with which NumPy takes it for a dtype


@pytest.mark.parametrize(
    "own",
    [OwnNetwork(), OwnNetwork, run, lambda x: x, np.zeros(2), object()],
    ids=["dataclass", "class", "function", "lambda", "array", "object"],
)
def test_code_from_elsewhere_is_traced_anew(folder, traced, own):
    double, count = traced
    run(double, ("double", own))
    run(double, ("double", own))
    assert len(count) == 2 and not folder.exists()


def test_values_of_the_package_are_described_with_all_their_fields():
    schedule, encoding = schedules.cosine(input_scale=0.05), BitEncoding(6)
    assert "input_scale=0.05" in traces._described(schedule)
    assert traces._described(encoding) != traces._described(BitEncoding(7))
    told = traces._described((UNet(dtype=jnp.bfloat16), {"a": [1, "b"]}))
    assert "dtype=bfloat16" in told and "{'a': list[1, 'b']}" in told


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"nothing", lambda data: data[:-9], lambda data: data + b" "],
    ids=["empty", "other", "truncated", "longer"],
)
def test_a_damaged_file_is_replaced(folder, traced, damage):
    double, count = traced
    run(double)
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    np.testing.assert_array_equal(run(double), [0, 2, 4])
    np.testing.assert_array_equal(run(double), [0, 2, 4])
    assert len(count) == 2


def test_a_folder_that_cannot_be_is_no_trouble(tmp_path, traced):
    (tmp_path / "file").write_text("")
    traces.keep_in(tmp_path / "file" / "traces")
    try:
        np.testing.assert_array_equal(run(traced[0]), [0, 2, 4])
    finally:
        traces.keep_in(None)


def test_what_cannot_be_written_is_traced_anew(folder):
    def calls_back(x):
        return jax.pure_callback(lambda x: 3 * np.asarray(x), x, x)

    x = jnp.arange(2.0)
    for _ in range(2):
        program = traces.program(jax.jit(calls_back), (x,), ("callback",)).compile()
        np.testing.assert_array_equal(program(x), [0, 3])
    assert not folder.exists()


def test_the_oldest_are_forgotten(folder, traced, monkeypatch):
    monkeypatch.setattr(traces, "_MOST_FILES", 2)
    for number in range(4):
        run(traced[0], ("double", number))
    assert len(list(folder.iterdir())) == 2
    run(traced[0], ("double", 3))
    assert len(traced[1]) == 4


def test_shapes_are_found_without_tracing(folder):
    count = []

    def init():
        count.append(1)
        return {"a": {"kernel": jnp.zeros((2, 3), jnp.bfloat16)}, "b": jnp.zeros(())}

    first, second = (traces.shapes(lambda: init(), "net") for _ in range(2))
    assert len(count) == 1
    assert first == second == jax.eval_shape(init)


def test_damaged_shapes_are_found_anew(folder):
    init = lambda: {"bias": jnp.zeros(32)}  # noqa: E731
    traces.shapes(init, "net")
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes().replace(b"32]", b"33]"))
    assert traces.shapes(init, "net") == jax.eval_shape(init)


@pytest.mark.parametrize("result", [[np.zeros(2)], {1: np.zeros(2)}, np.zeros(2)], ids=str)
def test_other_trees_have_shapes_too(folder, result):
    init = lambda: jax.tree.map(jnp.asarray, result)  # noqa: E731
    assert traces.shapes(init, "net") == traces.shapes(init, "net") == jax.eval_shape(init)
