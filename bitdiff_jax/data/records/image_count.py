"""Counts images for a report of progress."""

from collections.abc import Callable

# Progress: images done, of how many, and how many of them were there before.
Report = Callable[[int, int, int], None]


class ImageCount:
    """Counts images as they are done."""

    def __init__(self, there: int, total: int, report: Report | None):
        """Reports what was there before.

        Args:
            there: number of images that are done already.
            total: number of all images.
            report: called at once, and after each image; None for no report.
        """
        self._there = self._done = there
        self._total = total
        self._report = report
        self._tell()

    def __call__(self) -> None:
        """Counts one image and reports it."""
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self._report:
            self._report(self._done, self._total, self._there)
