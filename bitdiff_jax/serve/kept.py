"""A store in memory that forgets."""

import collections
import secrets
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Entry(NamedTuple, Generic[T]):
    value: T
    size: int
    used: float


class Kept(Generic[T]):
    """Values by keys that cannot be guessed, for a time and up to a size.

    A value is forgotten `seconds` after it was last put or asked for, and earlier where the sizes
    of all would exceed `max_size`: the one that was not asked for longest goes first. The last one
    put is kept whatever its size. It may be used from several threads.
    """

    def __init__(
        self, seconds: float, max_size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """An empty store.

        Args:
            seconds: how long a value is kept after it was last asked for.
            max_size: the sum of the sizes of all values.
            clock: gives the time in seconds.
        """
        self._seconds = seconds
        self._max_size = max_size
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: collections.OrderedDict[str, _Entry[T]] = collections.OrderedDict()

    def __len__(self) -> int:
        """The number of values that are kept."""
        with self._lock:
            self._forget()
            return len(self._entries)

    def put(self, value: T, size: int, key: str | None = None) -> str:
        """Keeps a value.

        Args:
            value: what is kept.
            size: what it counts.
            key: replaces what has this key; None for a new one of 192 random bits.

        Returns:
            The key.
        """
        key = secrets.token_urlsafe(24) if key is None else key
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(value, size, self._clock())
            self._forget()
        return key

    def get(self, key: str) -> T | None:
        """The value of a key, which is then kept longer; None if there is none any more."""
        with self._lock:
            self._forget()
            entry = self._entries.pop(key, None)
            if entry is None:
                return None
            self._entries[key] = entry._replace(used=self._clock())
            return entry.value

    def forget_old(self) -> None:
        """Frees the memory of values whose time is over, though nobody asks for any."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        oldest = self._clock() - self._seconds
        total = sum(entry.size for entry in self._entries.values())
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry.used > oldest and (total <= self._max_size or len(self._entries) == 1):
                break
            self._entries.popitem(last=False)
            total -= entry.size
