"""The operations of a compiled program, read from its text: how often each runs and what it costs.

The one walk over a program: `costs` adds it up, `breakdown` says where it goes.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator

from bitdiff_jax.flops import valid_positions
from bitdiff_jax.tools.xla_cost import hlo
from bitdiff_jax.tools.xla_cost.chip import Chip

COLLECTIVES = (
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all",
    "collective-permute", "collective-broadcast",
)  # fmt: skip
# What `flops` may be of.
PRODUCTS = ("convolution", "dot", "custom-call")
# Names of values rather than work.
_FREE = frozenset(
    ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id",
     "replica-id", "opt-barrier")
)  # fmt: skip
_BRANCHES = ("branch_computations", "true_computation", "false_computation")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_positions = functools.lru_cache(valid_positions)


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a device; its costs are those of one run.

    Attributes:
        instruction: line of the operation in the text.
        computation: computation that holds the line.
        times: how often the operation runs.
        flops: FLOPs of convolutions and products.
        bytes: bytes of operands and results, as they lie in memory.
        hbm_bytes: those of `bytes` that lie in the device's main memory.
        cycles: the compiler's estimate of cycles; None if it has none.
        collectives: (kind, bytes of the operands) of each collective in it.
    """

    instruction: hlo.Instruction
    computation: hlo.Computation
    times: int
    flops: int
    bytes: int
    hbm_bytes: int
    cycles: int | None
    collectives: tuple[tuple[str, int], ...]

    def seconds(self, chip: Chip) -> float:
        """The longer of arithmetic and main memory at the chip's peaks."""
        return max(self.flops / chip.peak_flops, self.hbm_bytes / chip.bandwidth)

    def cost(self, chip: Chip) -> "Cost":
        """The costs of all its runs."""
        return Cost(
            operations=self.times,
            cycles=(self.cycles or 0) * self.times,
            seconds=self.seconds(chip) * self.times,
            flops=self.flops * self.times,
            bytes=self.bytes * self.times,
            hbm_bytes=self.hbm_bytes * self.times,
        )


@dataclasses.dataclass
class Cost:
    """Sums over operations, each as often as it runs, of one device.

    Attributes:
        operations: number of operations.
        cycles: the compiler's estimate of cycles, summed over the operations that have one.
        seconds: the longer of arithmetic and main memory at the chip's peaks, summed over the
            operations: what a perfect machine would take, but for operands that are read in part.
        flops: FLOPs of convolutions and products: 2 per multiply-add, none for a padding's zeros.
        bytes: bytes of operands and results of all operations, as they lie in memory. Values inside
            a fused operation are not counted; an operand that is read in part counts wholly.
        hbm_bytes: those of `bytes` that lie in the device's main memory.
    """

    operations: int = 0
    cycles: float = 0
    seconds: float = 0
    flops: float = 0
    bytes: float = 0
    hbm_bytes: float = 0

    def add(self, other: "Cost") -> None:
        """Adds the costs of another to these."""
        for field in dataclasses.fields(Cost):
            total = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, total)


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that was read.

    Attributes:
        module: the parsed text.
        operations: the operations in the order in which they first run.
        loops: [name, trip count] of each loop; None is not known, and counted as 1.
    """

    module: hlo.Module
    operations: list[Operation]
    loops: list[tuple[str, int | None]]


def read(text: str) -> Program:
    """Walks through the text of a compiled program.

    Raises:
        ValueError: the text has no entry computation.
    """
    module = hlo.parse(text)
    loops: list[tuple[str, int | None]] = []
    found = list(_walk(module, module.computations[module.entry], 1, loops))
    return Program(module, found, loops)


def _walk(
    module: hlo.Module,
    computation: hlo.Computation,
    times: int,
    loops: list[tuple[str, int | None]],
) -> Iterator[Operation]:
    """The operations of `times` runs of a computation; notes the loops it meets."""
    for instruction in computation.instructions:
        opcode = instruction.opcode
        if opcode == "while":
            trips = hlo.trip_count(module, instruction)
            loops.append((instruction.name, trips))
            body = module.computations[instruction.called("body")[0]]
            yield from _walk(module, body, times * (1 if trips is None else trips), loops)
        elif opcode in ("call", "async-start"):
            for name in instruction.called("to_apply", "calls"):
                yield from _walk(module, module.computations[name], times, loops)
        elif opcode == "conditional":
            # Which branch runs is not known: the one with the most operations.
            branches = [module.computations[name] for name in instruction.called(*_BRANCHES)]
            longest = max(branches, key=lambda branch: len(branch.instructions))
            yield from _walk(module, longest, times, loops)
        elif opcode not in _FREE and not opcode.endswith(("-done", "-update")):
            yield _operation(module, computation, instruction, times)


def _operation(
    module: hlo.Module, computation: hlo.Computation, instruction: hlo.Instruction, times: int
) -> Operation:
    operands = [s for name in instruction.operands for s in _shapes(computation, name)]
    results = instruction.shapes
    if instruction.opcode.endswith("-start"):
        # Its result repeats the operand beside what arrives.
        results = tuple(results[len(operands) : 2 * len(operands)]) or results
    elif instruction.opcode == "custom-call" and not operands:
        results = ()  # room that is set aside
    everything = [*operands, *results]
    estimate = _CYCLES.search(instruction.attributes)
    return Operation(
        instruction=instruction,
        computation=computation,
        times=times,
        flops=_flops(module, computation, instruction),
        bytes=sum(shape.bytes for shape in everything),
        hbm_bytes=sum(shape.bytes for shape in everything if not shape.on_chip),
        cycles=int(estimate[1]) if estimate else None,
        collectives=tuple(_collectives(module, computation, instruction)),
    )


def _shapes(computation: hlo.Computation, name: str) -> tuple[hlo.Shape, ...]:
    instruction = computation.by_name.get(name)
    return instruction.shapes if instruction else ()


def _collectives(
    module: hlo.Module, computation: hlo.Computation, instruction: hlo.Instruction
) -> list[tuple[str, int]]:
    """(kind, bytes of the operands) of an operation, or of those fused into it."""
    kind = instruction.opcode.removesuffix("-start")
    if kind in COLLECTIVES:
        shapes = [s for name in instruction.operands for s in _shapes(computation, name)]
        return [(kind, sum(shape.payload for shape in shapes))]
    if kind != "fusion":
        return []
    inner = module.computations[instruction.called("calls")[0]]
    return [found for i in inner.instructions for found in _collectives(module, inner, i)]


def _flops(module: hlo.Module, computation: hlo.Computation, instruction: hlo.Instruction) -> int:
    """Of convolutions and products in an operation."""
    opcode = instruction.opcode
    if opcode == "fusion":
        inner = module.computations[instruction.called("calls")[0]]
        return sum(_flops(module, inner, i) for i in inner.instructions)
    if opcode not in PRODUCTS:
        return 0
    operands = [shapes[0] for n in instruction.operands if (shapes := _shapes(computation, n))]
    if opcode == "dot":
        contracted = instruction.attribute("lhs_contracting_dims").strip("{}").split(",")
        return _product(operands[0], instruction.shapes[0], contracted)
    if opcode == "convolution":
        return _convolution(instruction, operands[0], operands[1], instruction.shapes[0])
    target = instruction.attribute("custom_call_target").strip('"')
    if target.startswith("__cublas$"):
        found = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', instruction.attributes)
        contracted = found[1].replace('"', "").split(",") if found else []
        return _product(operands[0], instruction.shapes[0], contracted)
    if not target.startswith("__cudnn$conv"):
        return 0
    # dim_labels and window are those of the forward convolution, whichever is computed.
    result = instruction.shapes[0]
    if target.endswith("BackwardInput"):
        return _convolution(instruction, result, operands[1], operands[0])
    if target.endswith("BackwardFilter"):
        return _convolution(instruction, operands[0], result, operands[1])
    return _convolution(instruction, operands[0], operands[1], result)


def _product(left: hlo.Shape, result: hlo.Shape, contracted: list[str]) -> int:
    depth = math.prod(left.dimensions[int(i)] for i in contracted if i)
    return 2 * depth * math.prod(result.dimensions)


def _convolution(
    instruction: hlo.Instruction, lhs: hlo.Shape, rhs: hlo.Shape, out: hlo.Shape
) -> int:
    labels = re.match(r"(\w+)_(\w+)->(\w+)", instruction.attribute("dim_labels"))
    assert labels is not None, instruction
    left, kernel, result = (
        dict(zip(axes, shape.dimensions, strict=True))
        for axes, shape in zip(labels.groups(), (lhs, rhs, out), strict=True)
    )
    window = dict(
        part.split("=") for part in instruction.attribute("window").strip("{}").split() if part
    )
    axes = sorted(axis for axis in left if axis.isdigit())
    values = {name: value.split("x") for name, value in window.items()}
    pairs = 1
    for axis in axes:
        index = int(axis)

        def value(name: str, default: str, index: int = index) -> str:
            return values[name][index] if name in values else default

        pairs *= _positions(
            left[axis],
            kernel[axis],
            result[axis],
            stride=int(value("stride", "1")),
            padding_low=int(value("pad", "0_0").split("_")[0]),
            base_dilation=int(value("lhs_dilate", "1")),
            kernel_dilation=int(value("rhs_dilate", "1")),
        )
    return 2 * pairs * kernel["i"] * kernel["o"] * result["b"]
