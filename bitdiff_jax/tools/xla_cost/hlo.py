"""Reads the text of a compiled XLA program: computations, instructions, shapes, loops.

Only as much of the text as costs need. The syntax is that of `Compiled.as_text()` for CPU, CUDA and
TPU programs.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Sequence

_BITS = {
    "pred": 8, "token": 0, "opaque": 0, "bf16": 16, "c64": 64, "c128": 128, "s2": 2, "u2": 2,
    "s4": 4, "u4": 4, "f4e2m1fn": 4,
}  # fmt: skip
_SHAPE = re.compile(r"\b([a-z]+[0-9]*[a-z0-9]*)\[([0-9,<= ]*)\](\{[^{}]*\})?")
_NAME = r"%?[\w.\-]+"
_INSTRUCTION = re.compile(rf"^\s+(ROOT )?({_NAME}) = (.*)$")
_COMPUTATION = re.compile(rf"^(ENTRY )?({_NAME})(?: \(.*\))? (?:-> .* )?\{{$")
_COMMENT = re.compile(r"/\*.*?\*/")


@dataclasses.dataclass(frozen=True)
class Shape:
    """An array's element type, dimensions and place.

    Attributes:
        dtype: element type, as XLA writes it.
        dimensions: sizes of the dimensions.
        minor_to_major: the dimensions in the order of memory, the fastest first.
        tile: sizes to whose multiples the fastest dimensions are filled up, the fastest last.
        on_chip: whether it lies in a TPU's fast memory rather than in HBM.
    """

    dtype: str
    dimensions: tuple[int, ...]
    minor_to_major: tuple[int, ...] = ()
    tile: tuple[int, ...] = ()
    on_chip: bool = False

    @property
    def bytes(self) -> int:
        """Bytes in memory, with the padding of tiles: 64 channels take 128 lanes of a TPU."""
        sizes = list(self.dimensions)
        for dimension, tile in zip(self.minor_to_major, reversed(self.tile), strict=False):
            sizes[dimension] = -(-sizes[dimension] // tile) * tile
        return self._bytes(sizes)

    @property
    def payload(self) -> int:
        """Bytes without the padding of tiles."""
        return self._bytes(self.dimensions)

    def _bytes(self, sizes: Sequence[int]) -> int:
        bits = _BITS.get(self.dtype)
        if bits is None:
            digits = re.match(r"[a-z]+(\d+)", self.dtype)
            bits = int(digits[1]) if digits else 8
        return -(-math.prod(sizes) * bits // 8)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line: `name = shape opcode(operands), attributes`."""

    name: str
    shapes: tuple[Shape, ...]  # of the result; several for a tuple
    opcode: str
    operands: tuple[str, ...]  # names; a constant's value
    attributes: str
    is_root: bool

    def attribute(self, name: str) -> str:
        """The value of `name=value` up to the next comma outside brackets; '' without one."""
        found = re.search(rf"\b{name}=", self.attributes)
        if not found:
            return ""
        return _until_comma(self.attributes[found.end() :])

    def called(self, *names: str) -> list[str]:
        """Names of the computations in the given attributes."""
        return [
            part
            for name in names
            for part in re.findall(r"[\w.\-]+", self.attribute(name).replace("%", ""))
        ]


@dataclasses.dataclass(frozen=True)
class Computation:
    """A named list of instructions, in the order in which they run."""

    name: str
    instructions: tuple[Instruction, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Instruction]:
        """The instructions by their names."""
        return {instruction.name: instruction for instruction in self.instructions}

    @property
    def root(self) -> Instruction:
        """The instruction whose result is the computation's."""
        return next(i for i in reversed(self.instructions) if i.is_root)


@dataclasses.dataclass(frozen=True)
class Module:
    """A whole program."""

    computations: dict[str, Computation]
    entry: str


def parse(text: str) -> Module:
    """Reads a program.

    Raises:
        ValueError: the text has no entry computation.
    """
    computations: dict[str, Computation] = {}
    entry = ""
    name = ""
    lines: list[Instruction] = []
    for line in text.splitlines():
        if not name:
            if found := _COMPUTATION.match(line):
                name = found[2].lstrip("%")
                entry = name if found[1] else entry
        elif line.startswith("}"):
            computations[name] = Computation(name, tuple(lines))
            name, lines = "", []
        elif found := _INSTRUCTION.match(line):
            lines.append(_instruction(found))
    if entry not in computations:
        raise ValueError("the text of the compiled program has no entry computation")
    return Module(computations, entry)


def trip_count(module: Module, loop: Instruction) -> int | None:
    """How often a `while` runs; None if the text does not tell.

    Some compilers write it down. Otherwise it is read from a condition `i < n` with a constant n
    and a body that adds 1 to the integer i, which is taken to start at 0: that is what `lax.scan`,
    `map` and `fori_loop` make.
    """
    if found := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attributes):
        return int(found[1])
    condition = module.computations[loop.called("condition")[0]]
    compare, operands = _unwrapped(module, condition, condition.root)
    if compare.opcode != "compare" or len(operands) != 2:
        return None
    direction = compare.attribute("direction")
    if direction not in ("LT", "GT"):
        return None
    counter, limit = operands if direction == "LT" else operands[::-1]
    if counter.opcode != "get-tuple-element" or limit.opcode != "constant":
        return None
    if not limit.operands[0].isdigit() or counter.shapes[0].dtype[0] not in "su":
        return None
    body = module.computations[loop.called("body")[0]]
    if body.root.opcode != "tuple":
        return None
    index = counter.attribute("index")
    following = body.by_name[body.root.operands[int(index)]]
    addition, terms = _unwrapped(module, body, following)
    from_counter = [t.attribute("index") == index for t in terms if t.opcode != "constant"]
    steps = [t.operands[0] for t in terms if t.opcode == "constant"]
    if addition.opcode != "add" or from_counter != [True] or steps != ["1"]:
        return None
    return int(limit.operands[0])


def _unwrapped(
    module: Module, computation: Computation, instruction: Instruction
) -> tuple[Instruction, list[Instruction]]:
    """An operation and what made its operands, seen through a fusion of that one operation."""
    instruction = _source(computation, instruction)
    if instruction.opcode != "fusion":
        return instruction, _operands(computation, instruction)
    inner = module.computations[instruction.called("calls")[0]]
    makers = []
    for operand in _operands(inner, inner.root):
        if operand.opcode == "parameter":
            outer = computation.by_name[instruction.operands[int(operand.operands[0])]]
            makers.append(_source(computation, outer))
        else:
            makers.append(operand)
    return inner.root, makers


def _operands(computation: Computation, instruction: Instruction) -> list[Instruction]:
    known = computation.by_name
    return [_source(computation, known[name]) for name in instruction.operands if name in known]


def _source(computation: Computation, instruction: Instruction) -> Instruction:
    """What a value is a copy of."""
    while instruction.opcode in ("copy", "copy-done", "copy-start", "bitcast"):
        instruction = computation.by_name[instruction.operands[0]]
    return instruction


def _instruction(found: re.Match[str]) -> Instruction:
    rest = _COMMENT.sub("", found[3])
    end = _closing(rest, 0) if rest.startswith("(") else rest.index(" ")
    shape_text, rest = rest[:end], rest[end:].lstrip()
    opcode, _, rest = rest.partition("(")
    end = _closing("(" + rest, 0) - 1
    inside, attributes = rest[: end - 1], rest[end:]
    operands = tuple(part.split()[-1].lstrip("%") for part in _split(inside) if part.strip())
    return Instruction(
        name=found[2].lstrip("%"),
        shapes=tuple(_shapes(shape_text)),
        opcode=opcode,
        operands=operands,
        attributes=attributes,
        is_root=bool(found[1]),
    )


def _shapes(text: str) -> Iterator[Shape]:
    for dtype, sizes, layout in _SHAPE.findall(text):
        numbers = [s.strip().lstrip("<=") for s in sizes.split(",")]
        order, _, rest = layout.strip("{}").partition(":")
        tile = re.match(r"T\(([\d,]+)\)", rest)
        yield Shape(
            dtype,
            tuple(int(n) for n in numbers if n),
            tuple(int(n) for n in order.split(",") if n),
            tuple(int(n) for n in tile[1].split(",")) if tile else (),
            on_chip=re.search(r"S\([1-9]", rest) is not None,
        )


def _closing(text: str, start: int) -> int:
    """Index after the bracket that closes the one at `start`."""
    depth, quoted = 0, False
    for index in range(start, len(text)):
        character = text[index]
        if character == '"' and text[index - 1] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if not depth:
                return index + 1
    return len(text)


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and not depth:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _until_comma(text: str) -> str:
    return _split(text[:4096])[0].strip()
