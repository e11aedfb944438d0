"""Programs that were compiled, kept in a JSON file: what the benchmarks of compilation share.

Each finished row has a hash of its program, its machine and the compiler's versions; a row of the
same hash is not compiled again.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli.train import override
from bitdiff_jax.compile import accelerators, compiled_figures, remote
from bitdiff_jax.errors import InputError
from bitdiff_jax.tools.xla_cost import breakdown
from bitdiff_jax.tools.xla_cost.costs import Costs

DTYPE = "--config.model.net.dtype=bfloat16"
FOLD = ("--config.model.net.fold=true",)  # as the launch scripts set it on TPUs


@dataclasses.dataclass(frozen=True)
class Row:
    """A program to compile."""

    config: str
    accelerator: str
    per_device: int
    program: str = "train"
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Key of the row in the file."""
        parts = (self.config, self.accelerator, self.program, str(self.per_device))
        return " ".join((*parts, *self.overrides))


class Table:
    """The rows that are known, and the way to more."""

    def __init__(self, rows_file: pathlib.Path, folder: str | None = None):
        """Opens the table.

        Args:
            rows_file: JSON, name -> what `Report.to_json` gives, with `kinds` beside it.
            folder: where compiled programs are kept; that of `bitdiff compile` by default.
        """
        self.rows_file = rows_file
        self.folder = pathlib.Path(folder or remote.folder() or "compiled")
        self.rows: dict[str, dict[str, Any]] = {}
        if rows_file.is_file():
            self.rows = json.loads(rows_file.read_text())

    def compile(self, row: Row) -> compiled_figures.Report:
        """The row's figures, compiled unless its program is known."""
        config = override(config_lib.load(row.config), [DTYPE, *row.overrides])
        accelerator = accelerators.find(row.accelerator)
        batch = row.per_device * accelerator.devices
        values = json.loads(config.to_json_best_effort())
        request = remote.Request(values, row.accelerator, row.program, batch, str(self.folder))
        start = time.monotonic()
        self._note(row)
        measured = remote.compile_remotely(request)
        program = remote.program_text(measured, str(self.folder))
        if not program and not measured.out_of_memory and not self._is_known(row, measured.key):
            # Known from a row of another table, but not its text.
            (self.folder / f"{measured.key}.json").unlink()
            measured = remote.compile_remotely(request)
            program = remote.program_text(measured, str(self.folder))
        if program or measured.out_of_memory:
            found = compiled_figures.make(measured, program, config)
            self.rows[row.name] = {**found.to_json(), "kinds": kinds(program, accelerator.chip)}
            self.write()
        state = "known" if measured.cached else "compiled"
        print(f"{row.name}: {state} in {time.monotonic() - start:.0f} s", flush=True)
        return from_json(self.rows[row.name])

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        partial = self.rows_file.with_suffix(".tmp")
        partial.write_text(json.dumps(self.rows, indent=1, sort_keys=True) + "\n")
        partial.replace(self.rows_file)

    def _note(self, row: Row) -> None:
        """Tells the compiling process of a row that is known from elsewhere."""
        known = self.rows.get(row.name)
        if known is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{known['measured']['key']}.json"
        if not path.is_file():
            path.write_text(json.dumps({**known["measured"], "cached": False}))

    def _is_known(self, row: Row, key: str) -> bool:
        return row.name in self.rows and self.rows[row.name]["measured"]["key"] == key

    def get(self, row: Row) -> compiled_figures.Report | None:
        """The row's figures as they were last compiled; None if never."""
        known = self.rows.get(row.name)
        return from_json(known) if known else None

    def batches(
        self, config: str, accelerator: str, overrides: tuple[str, ...]
    ) -> dict[int, compiled_figures.Report]:
        """Training steps that were compiled, by images a device."""
        found = {}
        for known in self.rows.values():
            each = from_json(known)
            row = Row(config, accelerator, each.measured.per_device, "train", overrides)
            if row.name in self.rows and self.rows[row.name] == known:
                found[each.measured.per_device] = each
        return dict(sorted(found.items()))


def from_json(values: Mapping[str, Any]) -> compiled_figures.Report:
    """What `Report.to_json` wrote."""
    names = {field.name for field in dataclasses.fields(compiled_figures.Report)}
    plain = {name: value for name, value in values.items() if name in names}
    plain["measured"] = remote.Measured(**plain["measured"])
    plain["costs"] = Costs(**plain["costs"]) if plain["costs"] else None
    return compiled_figures.Report(**plain)


def kinds(program: str, chip: accelerators.Chip) -> dict[str, dict[str, float]]:
    """Kind of work (see `compile.naming`) -> its sums; {} of a program that does not fit."""
    if not program:
        return {}
    groups = breakdown.breakdown(program, chip, 0).grouped(lambda part: part.kind)
    return {kind: dataclasses.asdict(cost) for kind, cost in groups.items()}


def time_of(each: compiled_figures.Report) -> float | None:
    """Seconds of a run: predicted, or at the peaks where the compiler estimates no cycles."""
    return each.predicted_seconds or each.peak_seconds


def attempt(action: Any, name: str) -> None:
    """A row that fails is told, and the next one is compiled."""
    try:
        action()
    except InputError as error:
        print(f"{name}: {error}", flush=True)
