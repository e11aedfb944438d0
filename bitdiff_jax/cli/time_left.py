"""How far a command is with its images, and how long the rest will take."""

import sys
import time

# Seconds between lines on a terminal, where each overwrites the one before.
_REWRITE_SECONDS = 0.2
# The first image comes after what is done once (compilation, the start of processes), and with it
# the others of its batch: within this share of its time, and within these seconds.
_TOGETHER_SHARE, _TOGETHER_SECONDS = 0.1, 1.0


class Progress:
    """Tells on stderr how many images are done, their pace and the time that is left."""

    def __init__(self, what: str = "", log_seconds: float = 10.0, brief: bool = False) -> None:
        """Starts the clock.

        Args:
            what: beginning of each line.
            log_seconds: seconds between lines in a log, where they cannot overwrite each other.
            brief: whether a log gets no line of work that takes less than `log_seconds`.
        """
        self._what = what
        self._rewrites = sys.stderr.isatty()
        self._interval = _REWRITE_SECONDS if self._rewrites else log_seconds
        self._told = time.monotonic()
        self._tells_end = self._rewrites or not brief
        self._pace: _Pace | None = None
        self._began = self._told

    def __call__(self, done: int, total: int, there: int | None = None) -> None:
        """Tells it, if the last line is old enough.

        Args:
            done: number of images that are done.
            total: number of all images.
            there: number of those that were done before; None where the first call is after one
                more than those.
        """
        now = time.monotonic()
        if done == there:
            self._began = now
            if there:
                self._print(f"{there} of {total} pictures were there already", "\n")
            return
        if self._pace is None:
            self._pace = _Pace(self._began, now, done - 1 if there is None else there)
        seconds = self._pace.seconds(done, now)
        if now - self._told < self._interval and not (done == total and self._tells_end):
            return
        self._told, self._tells_end = now, True
        line = f"{done} of {total} pictures"
        if done == total:
            seconds = self._pace.mean(done, now)
        if seconds is not None:
            line += f", {_in_words(seconds)}, {_duration((total - done) * seconds)} left"
        self._print(line, "\x1b[K" if self._rewrites and done < total else "\n")

    def _print(self, line: str, end: str) -> None:
        start = "\r" if self._rewrites else ""
        print(f"{start}{self._what}{line}", end=end, file=sys.stderr, flush=True)


class _Pace:
    """The time that an image takes, apart from what is done once before the first."""

    def __init__(self, began: float, first: float, there: int) -> None:
        """Takes when the work began, when its first image was done, and images done before."""
        self._began, self._there = began, there
        together = min(_TOGETHER_SHARE * (first - began), _TOGETHER_SECONDS)
        self._end = first + together  # of the first images
        self._base = there, began  # images done with the first ones, and when

    def seconds(self, done: int, now: float) -> float | None:
        """Seconds that an image takes; None as long as only the first ones are done."""
        if now <= self._end:
            self._base = done, now
        images, then = self._base
        if done <= images:
            return None
        # The first of a later batch is told before the others of it, which are done as well: no
        # more than the mean.
        return min((now - then) / (done - images), self.mean(done, now))

    def mean(self, done: int, now: float) -> float:
        """Seconds of an image on the average, from the beginning on."""
        return (now - self._began) / (done - self._there)


def _in_words(seconds: float) -> str:
    if seconds > 1:
        return f"{seconds:.1f} seconds a picture"
    return f"{1 / max(seconds, 1e-9):.0f} a second"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
