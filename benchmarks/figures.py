"""One measured figure, and how it is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Figure", "timed"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Figure:
    """Who did how many rows in how many seconds."""

    who: str
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def timed(job: Callable[[], Result], runs: int = 3, warm: int = 1) -> tuple[Result, float]:
    """The job's result, and the median of its wall times after warm-up."""
    for _ in range(warm):
        job()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        result = job()
        seconds.append(time.perf_counter() - started)
    return result, statistics.median(seconds)
