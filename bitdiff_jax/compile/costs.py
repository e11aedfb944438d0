"""What a compiled program does on one device, read from its text.

XLA's own count runs the body of each loop once, and some compilers hand over none. Here loops count
as often as they run.
"""

import dataclasses
import functools
import math
import re

from bitdiff_jax.compile import hlo
from bitdiff_jax.compile.accelerators import Chip
from bitdiff_jax.flops import valid_positions

COLLECTIVES = (
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all",
    "collective-permute", "collective-broadcast",
)  # fmt: skip
# Names of values rather than work.
_FREE = frozenset(
    ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id",
     "replica-id", "opt-barrier")
)  # fmt: skip
_BRANCHES = ("branch_computations", "true_computation", "false_computation")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_positions = functools.lru_cache(valid_positions)


@dataclasses.dataclass
class Costs:
    """Of one run of a program on one device.

    Attributes:
        flops: of convolutions and products: 2 a multiply-add, none for a padding's zeros.
        bytes: operands and results of all operations, as they lie in memory. What stays inside a
            fused operation is not counted; of an operand that is read in part, all is.
        hbm_bytes: those of `bytes` that lie in the device's main memory.
        cycles: the compiler's estimate, summed over the operations that carry one.
        estimated: how many operations those are.
        operations: how many there are, each as often as it runs.
        seconds: the longer of arithmetic and main memory at the chip's peaks, summed over the
            operations: what a perfect machine would take, but for operands that are read in part.
        flops_once: `flops` with the body of each loop run once, as XLA counts.
        bytes_once: `bytes` likewise.
        collectives: kind -> [operations, bytes of their operands, without the padding of tiles].
        loops: [name, trip count] of each loop; None is not known, and counted as 1.
    """

    flops: float = 0
    bytes: float = 0
    hbm_bytes: float = 0
    cycles: float = 0
    estimated: int = 0
    operations: int = 0
    seconds: float = 0
    flops_once: float = 0
    bytes_once: float = 0
    collectives: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    loops: list[tuple[str, int | None]] = dataclasses.field(default_factory=list)


def costs(text: str, chip: Chip) -> Costs:
    """Adds up the costs of a compiled program's text; see `hlo.parse`."""
    module = hlo.parse(text)
    total = Costs()
    _add(total, module, module.computations[module.entry], 1, chip)
    return total


def _add(
    total: Costs, module: hlo.Module, computation: hlo.Computation, times: int, chip: Chip
) -> None:
    """Adds `times` runs of a computation."""
    for instruction in computation.instructions:
        opcode = instruction.opcode
        if opcode == "while":
            trips = hlo.trip_count(module, instruction)
            total.loops.append((instruction.name, trips))
            body = module.computations[instruction.called("body")[0]]
            _add(total, module, body, times * (1 if trips is None else trips), chip)
        elif opcode in ("call", "async-start"):
            for name in instruction.called("to_apply", "calls"):
                _add(total, module, module.computations[name], times, chip)
        elif opcode == "conditional":
            # Which branch runs is not known: the one with the most operations.
            branches = [module.computations[name] for name in instruction.called(*_BRANCHES)]
            longest = max(branches, key=lambda branch: len(branch.instructions))
            _add(total, module, longest, times, chip)
        elif opcode not in _FREE and not opcode.endswith(("-done", "-update")):
            _add_operation(total, module, computation, instruction, times, chip)


def _add_operation(
    total: Costs, module: hlo.Module, computation: hlo.Computation, instruction: hlo.Instruction,
    times: int, chip: Chip,
) -> None:  # fmt: skip
    operands = [s for name in instruction.operands for s in _shapes(computation, name)]
    results = instruction.shapes
    if instruction.opcode.endswith("-start"):
        # Its result repeats the operand beside what arrives.
        results = tuple(results[len(operands) : 2 * len(operands)]) or results
    elif instruction.opcode == "custom-call" and not operands:
        results = ()  # room that is set aside
    everything = [*operands, *results]
    moved = sum(shape.bytes for shape in everything)
    main = sum(shape.bytes for shape in everything if not shape.on_chip)
    flops = _flops(module, computation, instruction)
    total.operations += times
    total.flops += flops * times
    total.flops_once += flops
    total.bytes += moved * times
    total.bytes_once += moved
    total.hbm_bytes += main * times
    total.seconds += max(flops / chip.peak_flops, main / chip.bandwidth) * times
    if found := _CYCLES.search(instruction.attributes):
        total.cycles += int(found[1]) * times
        total.estimated += times
    for kind, size in _collectives(module, computation, instruction):
        entry = total.collectives.setdefault(kind, [0, 0])
        entry[0] += times
        entry[1] += size * times


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
    if opcode not in ("dot", "convolution", "custom-call"):
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
