"""Where a compiled program's bytes and cycles go: by part of the net, kind of work, operation.

The parts sum up to `costs.costs`: both add up the same walk over the program.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bitdiff_jax.tools.xla_cost import attribution, hlo, operations
from bitdiff_jax.tools.xla_cost.chip import Chip
from bitdiff_jax.tools.xla_cost.operations import Cost, Operation


@dataclasses.dataclass(frozen=True)
class Part:
    """The operations of one place, phase and kind; see `attribution`."""

    place: str
    phase: str
    kind: str
    cost: Cost


@dataclasses.dataclass(frozen=True)
class Dear:
    """One of the most expensive operations.

    Attributes:
        name: name in the program's text.
        opcode: XLA's name of the kind of operation.
        place: part of the project, see `attribution.place`.
        kind: kind of work, see `attribution.kind`.
        op_name: name of the traced operation.
        shapes: operands -> results with the order of their dimensions in memory; S(1) is on the
            chip.
        cost: costs of the operation.
    """

    name: str
    opcode: str
    place: str
    kind: str
    op_name: str
    shapes: str
    cost: Cost


@dataclasses.dataclass(frozen=True)
class Breakdown:
    """Where a program's costs go.

    Attributes:
        by_cycles: whether the compiler estimates cycles; if not, time is that at the chip's peaks.
        parts: all parts of the program, the most expensive first.
        dearest: the most expensive operations.
    """

    by_cycles: bool
    parts: list[Part]
    dearest: list[Dear]

    def grouped(self, key: Callable[[Part], str]) -> dict[str, Cost]:
        """Sums of the parts that share a key, the dearest first."""
        groups: dict[str, Cost] = {}
        for part in self.parts:
            groups.setdefault(key(part), Cost()).add(part.cost)
        return dict(sorted(groups.items(), key=lambda item: -self.time(item[1])))

    def time(self, cost: Cost) -> float:
        """Cycles, or seconds at the peaks where there are none."""
        return cost.cycles if self.by_cycles else cost.seconds

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return dataclasses.asdict(self)


def from_json(values: dict[str, Any]) -> Breakdown:
    """The `Breakdown` of values that `Breakdown.to_json` returned."""

    def made(kind: Any, rows: Sequence[dict[str, Any]]) -> list[Any]:
        return [kind(**{**row, "cost": Cost(**row["cost"])}) for row in rows]

    parts, dearest = made(Part, values["parts"]), made(Dear, values["dearest"])
    return Breakdown(values["by_cycles"], parts, dearest)


def breakdown(text: str, chip: Chip, dearest: int = 20) -> Breakdown:
    """Sorts the operations of a compiled program's text.

    Args:
        text: text of the compiled program, see `hlo.parse`.
        chip: the chip whose peaks give seconds.
        dearest: number of single operations to list.
    """
    program = operations.read(text)
    parts: dict[tuple[str, str, str], Cost] = {}
    rows: list[tuple[Operation, str, str, Cost]] = []
    for each in program.operations:
        op_name = attribution.name(each, program.module)
        kind, cost = attribution.kind(each, program.module, op_name), each.cost(chip)
        key = attribution.place(op_name), attribution.phase(op_name), kind
        parts.setdefault(key, Cost()).add(cost)
        rows.append((each, op_name, kind, cost))
    by_cycles = any(cost.cycles for cost in parts.values())

    time = Breakdown(by_cycles, [], []).time
    rows.sort(key=lambda row: -time(row[3]))
    listed = [
        Dear(
            name=each.instruction.name,
            opcode=each.instruction.opcode,
            place=attribution.place(op_name),
            kind=kind,
            op_name=op_name,
            shapes=_shapes(each),
            cost=cost,
        )
        for each, op_name, kind, cost in rows[:dearest]
    ]
    ordered = sorted(parts.items(), key=lambda item: -time(item[1]))
    return Breakdown(by_cycles, [Part(*key, cost) for key, cost in ordered], listed)


def _shapes(operation: Operation) -> str:
    known = operation.computation.by_name
    makers = [known[name] for name in operation.instruction.operands if name in known]
    operands = [_shape(shape) for maker in makers for shape in maker.shapes]
    results = [_shape(shape) for shape in operation.instruction.shapes]
    return f"{' '.join(operands)} -> {' '.join(results)}".strip()


def _shape(shape: hlo.Shape) -> str:
    dimensions = ",".join(map(str, shape.dimensions))
    order = ",".join(map(str, shape.minor_to_major))
    return f"{shape.dtype}[{dimensions}]{{{order}}}" + "S(1)" * shape.on_chip
