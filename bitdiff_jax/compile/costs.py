"""What a compiled program does on one device, added up.

XLA's own count runs the body of each loop once, and some compilers hand over none. Here loops count
as often as they run.
"""

import dataclasses

from bitdiff_jax.compile import operations
from bitdiff_jax.compile.accelerators import Chip


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
    program = operations.read(text)
    total = Costs(loops=program.loops)
    for each in program.operations:
        times = each.times
        total.operations += times
        total.flops += each.flops * times
        total.flops_once += each.flops
        total.bytes += each.bytes * times
        total.bytes_once += each.bytes
        total.hbm_bytes += each.hbm_bytes * times
        total.seconds += each.seconds(chip) * times
        if each.cycles is not None:
            total.cycles += each.cycles * times
            total.estimated += times
        for kind, size in each.collectives:
            entry = total.collectives.setdefault(kind, [0, 0])
            entry[0] += times
            entry[1] += size * times
    return total
