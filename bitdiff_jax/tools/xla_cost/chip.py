"""What a cost model has to know of one device."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """One device, as JAX counts them.

    Attributes:
        kind: name of the device.
        memory: bytes of memory, as sold.
        usable: bytes of memory that a program may take.
        peak_flops: bfloat16 operations a second (a multiply-add is two).
        bandwidth: bytes a second between the chip and its memory.
        clock: cycles a second, for TPUs, whose compiler estimates cycles.
    """

    kind: str
    memory: int
    usable: int
    peak_flops: float
    bandwidth: float
    clock: float | None = None
