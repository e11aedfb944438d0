"""What the benchmarks of compilation write: plots, sections of pages, figures side by side."""

import dataclasses
import functools
import json
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.predicted import compiled, curves, growth, growth_page, page, speed_table
from bitdiff_jax import config as config_lib
from bitdiff_jax.cli.train import override
from bitdiff_jax.compile import compiled_figures, remote
from bitdiff_jax.errors import InputError
from tests.compile.test_compiled_figures import MEASURED
from tests.tools import stored

CONFIG = "base:smoke"
GIB = 2**30


@functools.cache
def stored_cost():
    """(report, kinds) of the stored program."""
    chip = compiled.accelerators.V5E
    text = stored.load("v5e-1")
    measured = dataclasses.replace(MEASURED, accelerator="v5e-1")
    config = override(config_lib.load(CONFIG), [compiled.DTYPE])
    return compiled_figures.make(measured, text, config), compiled.kinds(text, chip)


def cost(row, scale=1.0, fits=True):
    """A row as `Table.compile` keeps it: the stored program's, time and bytes `scale` times."""
    made, kinds = stored_cost()
    measured = dataclasses.replace(
        MEASURED,
        program=row.program,
        accelerator=row.accelerator,
        batch_size=row.per_device * compiled.accelerators.find(row.accelerator).devices,
        memory=MEASURED.memory if fits else {},
        out_of_memory=None if fits else 100 * GIB,
    )
    changed = {
        "measured": measured,
        "needed": measured.memory_needed(),
        "costs": dataclasses.replace(made.costs, hbm_bytes=made.costs.hbm_bytes * scale),
        "predicted_seconds": made.predicted_seconds * scale,
    }
    if not fits:
        changed |= dict.fromkeys(("costs", "predicted_seconds", "peak_seconds"))
    values = dataclasses.replace(made, **changed).to_json()
    return json.loads(json.dumps({**values, "kinds": kinds if fits else {}}))


@pytest.fixture
def table(tmp_path):
    """A table of all that `growth` shows; the largest batch and resolution do not fit."""
    made = compiled.Table(tmp_path / "rows.json", str(tmp_path / "programs"))
    for name, series in growth.all_series(CONFIG, "v5e").items():
        for number, row in series.rows.items():
            fits = (name, number) not in (("batch", 128), ("resolution", 512))
            made.rows[row.name] = cost(row, fits=fits)
    made.write()
    return compiled.Table(tmp_path / "rows.json", str(tmp_path / "programs"))


@pytest.mark.slow
def test_the_page_of_growth(table, tmp_path, monkeypatch):
    arguments = ["--config", CONFIG, "--page_only", "--rows", str(table.rows_file)]
    growth.main([*arguments, "--docs", str(tmp_path)])
    text = (tmp_path / "performance.md").read_text()
    names = [*growth.all_series(CONFIG, "v5e"), "attention"]
    for name in names:
        assert f"(growth_{name}.svg)" in text
        ElementTree.parse(tmp_path / f"growth_{name}.svg")
    for name in names[:-1]:
        assert (
            f"python -m benchmarks.predicted.growth --config {CONFIG} --family v5e --series {name}"
            in text
        )
    assert text.count("100 GiB: does not fit") == 2
    assert (tmp_path / "growth_batch.svg").read_text().count("does not fit") == 2  # panels
    assert "more than a third of the time at none of these resolutions" in text
    growth.main([*arguments, "--docs", str(tmp_path)])
    assert (tmp_path / "performance.md").read_text() == text


def test_attentions_shares(table):
    series = growth.all_series(CONFIG, "v5e")["resolution"]
    shares = growth_page.attention_shares(series, table)
    kinds = compiled.kinds(stored.load("v5e-1"), compiled.accelerators.V5E)
    time = kinds["attention"]["cycles"] / sum(each["cycles"] for each in kinds.values())
    assert shares[64][0] == pytest.approx(time) and 0.01 < time < 0.2
    assert shares[512] == (None, None)
    many = {64: (0.2, 0.1), 128: (0.4, 0.2), 256: (0.6, 0.5), 512: (None, None)}
    said = growth_page._attention_reading(many)
    assert "third of the time from 128 pixels" in said and "memory from 256 pixels" in said


def test_a_series_of_which_nothing_is_known_is_left_out(tmp_path):
    empty = compiled.Table(tmp_path / "none.json", str(tmp_path))
    series = growth.all_series(CONFIG, "v5e")
    assert "growth_" not in growth_page.section(CONFIG, "v5e", series, empty, tmp_path)


def test_curves_hold_all_points():
    points = [(1.0, 4.0), (2.0, 3.0), (64.0, None)]
    panel = curves.Panel("y", {"a": points, "b": [(1.0, 40.0), (4.0, 0.5)]}, "{:g}".format)
    for logarithmic, binary in ((False, False), (True, False), (False, True), (True, True)):
        each = dataclasses.replace(panel, logarithmic=logarithmic, binary=binary)
        drawn = curves.draw("t", "x", [each, each])
        root = ElementTree.fromstring(drawn)
        circles = [each for each in root if each.tag.endswith("circle")]
        assert len(circles) == 8
        width, height = float(root.get("width")), float(root.get("height"))
        for circle in circles:
            assert 0 < float(circle.get("cx")) < width and 0 < float(circle.get("cy")) < height
        assert drawn.count("does not fit") == 2
    assert curves.draw("t", "x", [curves.Panel("y", {"": [(1.0, None)]}, str)]) == ""


def test_sections_of_a_page(tmp_path):
    path = tmp_path / "p.md"
    page.put(path, "a", "one", "Title")
    page.put(path, "b", "two \\1")
    path.write_text(path.read_text() + "\nby hand\n")
    page.put(path, "a", "three")
    text = path.read_text()
    assert text.startswith("# Title\n") and text.endswith("by hand\n")
    assert "one" not in text and "three" in text and "two \\1" in text
    path.write_text(text.replace("<!-- /a -->", ""))
    with pytest.raises(ValueError, match="one of <!-- a -->"):
        page.put(path, "a", "four")


@pytest.fixture
def exported(tmp_path):
    """What `bitdiff compile --json` wrote of the first version: a program, and those of a fit."""
    rows = [compiled.Row(CONFIG, "v5e-1", batch) for batch in (8, 32)]
    made = [cost(row) for row in rows]
    path = tmp_path / "first.json"
    path.write_text(json.dumps({"programs": made[:1], "fit": {"programs": made}}))
    return path


def run_speed_table(tmp_path, *arguments):
    places = [f"--{name}={tmp_path / name}.json" for name in ("rows", "first")]
    speed_table.main([*places, f"--page={tmp_path / 'page.md'}", "--config", CONFIG, *arguments])
    path = tmp_path / "page.md"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if CONFIG in line
    ]


def test_the_first_version_and_now(tmp_path, exported):
    before = run_speed_table(tmp_path, "--import_first", str(exported))
    assert [line[:3] for line in before] == [[CONFIG, "v5e-1", "8"], [CONFIG, "v5e-1", "32"]]
    assert all(line[4] == line[5] == "-" and line[3] != "-" for line in before)
    halved = "--config.model.net.remat=True"
    now = {}
    for row in (
        compiled.Row(CONFIG, "v5e-1", 8),
        compiled.Row(CONFIG, "v5e-1", 8, "train", (halved,)),
    ):
        now[row.name] = cost(row, 0.5)
    large = compiled.Row(CONFIG, "v5e-1", 32)
    now[large.name] = cost(large, fits=False)
    (tmp_path / "rows.json").write_text(json.dumps(now))
    after = {(line[0], line[2]): line for line in run_speed_table(tmp_path, "--page_only")}
    for network in (CONFIG, f"{CONFIG} `{halved}`"):
        assert after[network, "8"][5] == after[network, "8"][8] == "2.00"
    assert after[CONFIG, "32"][10] == "100 GiB: does not fit" and after[CONFIG, "32"][5] == "-"


@pytest.mark.slow
def test_cost_of_another_network_are_not_taken_up(tmp_path, exported):
    with pytest.raises(InputError, match="parameters"):
        run_speed_table(
            tmp_path, "--import_first", str(exported), "--config.model.net.base_channels=32"
        )
    values = json.loads(exported.read_text())
    values["programs"][0]["dtype"] = "float32"
    exported.write_text(json.dumps(values))
    with pytest.raises(InputError, match="float32"):
        run_speed_table(tmp_path, "--import_first", str(exported))


@pytest.mark.slow
def test_a_table_compiles_what_it_does_not_know(tmp_path, monkeypatch):
    """A program known from another table, without its text, is compiled for its text."""
    row = compiled.Row(CONFIG, "v5e-1", 8)
    calls = []

    def compile_remotely(request):
        known = tmp_path / "k.json"
        calls.append(known.is_file())
        if not known.is_file():
            known.write_text("{}")
            (tmp_path / "text").touch()
        return dataclasses.replace(MEASURED, accelerator="v5e-1", batch_size=8, cached=calls[-1])

    def program_text(measured, folder):
        return stored.load("v5e-1") if (tmp_path / "text").is_file() else ""

    monkeypatch.setattr(remote, "compile_remotely", compile_remotely)
    monkeypatch.setattr(remote, "program_text", program_text)
    (tmp_path / "k.json").write_text("{}")
    table = compiled.Table(tmp_path / "rows.json", str(tmp_path))
    found = table.compile(row)
    assert calls == [True, False] and found.costs.cycles > 0
    assert table.rows[row.name]["kinds"]["optimizer"]["cycles"] > 0
    # Once it is known, its text is not needed.
    (tmp_path / "text").unlink()
    again = compiled.Table(tmp_path / "rows.json", str(tmp_path))
    assert again.compile(row).predicted_seconds == found.predicted_seconds
    assert calls == [True, False, True]
