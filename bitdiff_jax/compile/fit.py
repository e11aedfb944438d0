"""The largest batch a device has room for: memory is a constant plus so much for each image."""

import dataclasses
from collections.abc import Callable

from bitdiff_jax.compile.remote import Measured
from bitdiff_jax.errors import InputError

# Below this many images a device, a TPU's tiles are filled up and memory is not a straight line.
MIN_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Line:
    """Bytes of memory as a function of the images a device: fixed + image * batch."""

    fixed: float
    image: float

    def largest(self, usable: int) -> int:
        """The largest batch within `usable` bytes; 0 if not even one image fits.

        Raises:
            InputError: memory does not grow with the batch.
        """
        if self.image <= 0:
            raise InputError(
                f"memory does not grow with the batch ({self.image:.0f} bytes an image), so the "
                "largest cannot be told; give --no_fit"
            )
        return max(0, int((usable - self.fixed) // self.image))


def line(first: tuple[int, int], second: tuple[int, int]) -> Line:
    """The line through two (batch, bytes)."""
    (b1, m1), (b2, m2) = first, second
    image = (m2 - m1) / (b2 - b1)
    return Line(m1 - image * b1, image)


@dataclasses.dataclass(frozen=True)
class Fit:
    """The programs that were compiled to find the largest batch.

    Attributes:
        compiled: measurements of each program, by images per device.
        line: the line through two batches.
        predicted: the largest batch by the line.
        largest: the largest batch that was compiled and fits; 0 if none does.
    """

    compiled: dict[int, Measured]
    line: Line
    predicted: int
    largest: int


def find(compile_batch: Callable[[int], Measured], usable: int, wanted: int) -> Fit:
    """Fits a line over two batches, and compiles the largest that it promises.

    A batch that does not fit serves as well for the line: the compiler tells how much it would
    need. If what the line promises does not fit, a second line, through what was needed for it,
    gives the answer, which is compiled too.

    Args:
        compile_batch: function of the images per device that compiles the program.
        usable: bytes of memory of a device that a program may use.
        wanted: images per device that are asked for anyway; one of the two batches if it is large
            enough.
    """
    first = max(wanted, MIN_BATCH)
    compiled = {batch: compile_batch(batch) for batch in (first, 2 * first)}
    points = [(batch, measured.memory_needed()) for batch, measured in compiled.items()]
    fitted = line(points[0], points[1])
    predicted = fitted.largest(usable)
    for _ in range(2):
        if predicted < 1 or predicted in compiled:
            break
        compiled[predicted] = compile_batch(predicted)
        needed = compiled[predicted].memory_needed()
        if needed <= usable:
            break
        retry = line(points[0], (predicted, needed)).largest(usable)
        predicted = min(retry, predicted - 1)
    fitting = [batch for batch, each in compiled.items() if each.memory_needed() <= usable]
    return Fit(compiled, fitted, predicted, max(fitting, default=0))
