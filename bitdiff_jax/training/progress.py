"""The progress line of a training."""

import dataclasses
import datetime
import sys
import time
from collections.abc import Callable

import ml_collections


@dataclasses.dataclass
class Progress:
    """Progress line: loss, ARI of the last evaluation, images per second, and time to the end."""

    config: ml_collections.ConfigDict
    ari: float | None = None
    clock: Callable[[], float] = time.monotonic  # seconds
    _shown: float = dataclasses.field(init=False)

    def __post_init__(self):
        self._shown = self.clock()

    def is_late(self) -> bool:
        """Whether the last line is `train.log_seconds` old; never if that is 0."""
        seconds = self.config.train.log_seconds
        return seconds > 0 and self.clock() - self._shown >= seconds

    def show(self, step: int, scalars: dict[str, float]) -> None:
        """Prints the line; on a terminal it overwrites itself."""
        self._shown = self.clock()
        total = self.config.train.num_steps
        rate = scalars.get("images_per_second")
        left = (total - step) * self.config.train.batch_size / rate if rate else 0
        eta = datetime.timedelta(seconds=round(left))
        ari = "" if self.ari is None else f"  ARI {self.ari:.3f}"
        speed = f"  {rate:.1f} images/s  ETA {eta}" if rate else ""
        line = f"step {step}/{total}  loss {scalars['loss']:.4g}{ari}{speed}"
        live = sys.stdout.isatty() and step < total
        _print_line(line, end="" if live else "\n")

    def show_scores(self, step: int, scores: dict[str, float]) -> None:
        """Prints an evaluation on a line of its own."""
        self.ari = scores["eval/ari"]
        _print_line(f"evaluation at step {step}: ARI {self.ari:.3f}  IoU {scores['eval/iou']:.3f}")


def _print_line(line: str, end: str = "\n") -> None:
    """Prints a line; on a terminal it overwrites the one that is there."""
    print(f"\r{line:<78}" if sys.stdout.isatty() else line, end=end, flush=True)
