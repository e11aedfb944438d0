"""What a compiled program does on one device, added up.

XLA's own count runs the body of each loop once, and some compilers hand over none. Here loops count
as often as they run.
"""

import dataclasses

from bitdiff_jax.tools.xla_cost import operations
from bitdiff_jax.tools.xla_cost.chip import Chip
from bitdiff_jax.tools.xla_cost.operations import Cost


@dataclasses.dataclass
class Costs(Cost):
    """Costs of one run of a program on one device.

    Attributes:
        estimated: number of operations with an estimate of cycles.
        flops_once: `flops` with the body of each loop run once, as XLA counts.
        bytes_once: `bytes` with the body of each loop run once.
        collectives: kind -> [operations, bytes of their operands, without the padding of tiles].
        loops: [name, trip count] of each loop; None is not known, and counted as 1.
    """

    estimated: int = 0
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
        total.add(each.cost(chip))
        total.flops_once += each.flops
        total.bytes_once += each.bytes
        total.estimated += 0 if each.cycles is None else times
        for kind, size in each.collectives:
            entry = total.collectives.setdefault(kind, [0, 0])
            entry[0] += times
            entry[1] += size * times
    return total
