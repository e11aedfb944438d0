"""Figures and their text, for programs whose costs are known."""

import dataclasses
import json
import pathlib

import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.compile import compiled_figures, fit, text
from bitdiff_jax.compile.remote import Measured
from tests.tools.test_costs import TPU

GIB = 2**30
MEASURED = Measured(
    program="train",
    accelerator="v5e-8",
    batch_size=16,
    key="k",
    versions={"libtpu": "1"},
    date="2026-01-02",
    lower_seconds=1,
    compile_seconds=60,
    compile_cpu_seconds=90,
    memory={"arguments": 3 * GIB, "outputs": 2 * GIB, "aliased": 2 * GIB, "temporaries": GIB,
            "code": GIB // 2, "peak": GIB},
    xla={"flops": 5e9, "bytes": 7e9},
)  # fmt: skip


@pytest.fixture
def config():
    return config_lib.load("base:smoke")


def test_cost_of_a_training_step(config):
    found = compiled_figures.make(MEASURED, TPU, config)
    assert found.devices == 8 and MEASURED.per_device == 2
    assert found.needed == 4.5 * GIB and found.usable == 15.75 * GIB and found.fits
    assert found.parameters == 178_726
    # 3,505 cycles of 1.5 GHz.
    assert found.predicted_seconds == pytest.approx(3505 / 1.5e9)
    assert found.utilisation == pytest.approx(
        found.model_flops / (found.predicted_seconds * 197e12)
    )
    json.dumps(found.to_json())


def test_memory_is_not_less_than_the_compilers_peak():
    memory = {**MEASURED.memory, "peak": 7 * GIB}
    assert dataclasses.replace(MEASURED, memory=memory).memory_needed() == 7 * GIB


def test_a_program_that_does_not_fit(config):
    measured = dataclasses.replace(MEASURED, memory={}, xla=None, out_of_memory=20 * GIB)
    found = compiled_figures.make(measured, "", config)
    assert not found.fits and found.costs is None and found.predicted_seconds is None
    printed = text.render(found)
    assert "20.0 GiB of 15.8 GiB that a program may use: does not fit" in printed


def test_the_text_names_every_figure(config):
    printed = text.render(compiled_figures.make(MEASURED, TPU, config))
    for words in (
        "v5e-8: 8 x TPU v5e, 1 host",
        "2 a device, 16 in all, float32",
        "178,726",
        "4.50 GiB of 15.8 GiB",
        "arguments 3.00 GiB, temporaries 1.00 GiB, code 512 MiB",
        "model FLOPs",
        "5.00 GFLOP, 6.52 GiB, loops run once",
        "6.40 MFLOP in convolutions and products",
        "1 of 5 trips",
        "1 all-gather of 48 B, 1 all-reduce of 68 B",
        "2.34 us, 3,505 cycles by the compiler's estimate",
        "60 s, 90 s of CPU; libtpu 1",
    ):
        assert words in printed, words


@pytest.mark.slow
def test_another_batch_than_the_configs_is_told_and_the_learning_rate_left_alone(config):
    found = compiled_figures.make(MEASURED, TPU, config)
    note = text.batch_note(found)
    assert "16 images a step, where the config has 8; the learning rate stays 0.0001" in note
    same = dataclasses.replace(MEASURED, batch_size=8)
    assert text.batch_note(compiled_figures.make(same, TPU, config)) == ""
    drawn = dataclasses.replace(MEASURED, program="sample")
    assert text.batch_note(compiled_figures.make(drawn, TPU, config)) == ""


@pytest.mark.slow
def test_the_largest_batch_as_text(config):
    def compile_batch(batch):
        memory = {**MEASURED.memory, "temporaries": batch * GIB // 4}
        return dataclasses.replace(MEASURED, batch_size=8 * batch, memory=memory)

    found = fit.find(compile_batch, int(15.75 * GIB), 2)
    reports = {b: compiled_figures.make(m, TPU, config) for b, m in found.compiled.items()}
    printed = text.render_fit(found, reports)
    assert found.largest == 49
    assert "3.50 GiB + 256 MiB an image (line through 8 and 16 images" in printed
    assert "49 images a device, compiled to be sure, in 15.8 GiB" in printed


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (0, "B", "0 B"), (1023, "B", "1.00 KiB"), (1536, "B", "1.50 KiB"),
        (15.75 * GIB, "B", "15.8 GiB"), (202.45e9, "FLOP", "202 GFLOP"),
        (999.9e9, "FLOP", "1.00 TFLOP"), (68, "B", "68 B"),
    ],
)  # fmt: skip
def test_amounts(value, unit, written):
    assert text.amount(value, unit) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(12.34, "12.3 s"), (0.0196, "19.6 ms"), (2.34e-6, "2.34 us")]
)
def test_durations(seconds, written):
    assert text.duration(seconds) == written


def test_the_page_of_the_table_can_be_written_again():
    """What benchmarks/predicted/compile_table.py keeps is enough for docs/accelerators.md."""
    path = pathlib.Path(__file__).parents[2] / "benchmarks" / "predicted" / "compile_table.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there: nothing was compiled yet")
    from benchmarks.predicted import compiled

    for name, values in json.loads(path.read_text()).items():
        values.pop("kinds", None)
        assert json.loads(json.dumps(compiled.from_json(values).to_json())) == values, name
