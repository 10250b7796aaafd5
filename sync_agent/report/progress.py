"""Progress of long work on standard error: a bar on a terminal, now and then a line elsewhere.

Standard output stays free for results. Where standard error is no terminal (a log, CI) a line is
written at most every ``LINE_EVERY_S`` seconds and one at the end, so that short work says one
line and long work never floods a log.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sync_agent.report.output import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LINE_EVERY_S = 5.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """A context manager that shows how far some work is, its rate and the time left.

    ``total`` is None while it is not known; ``unit`` is a plural noun ("rows", "changes").
    """

    def __init__(
        self,
        title: str,
        *,
        total: int | None = None,
        unit: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to show; nothing is written before the context is entered."""
        self._title = printable(title)
        self._total = total
        self._unit = unit
        self._clock = clock
        self._done = 0
        self._started = self._said = clock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Begin to show."""
        self._started = self._said = self._clock()
        if sys.stderr.isatty():
            self._start_bar()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show where the work stood at its end."""
        if self._bar is not None:
            self._bar.stop()
        elif self._done or error is None:
            self._say()

    def update(self, done: int, *, total: int | None = None) -> None:
        """Set how much is done, and the total when it became known."""
        self._done = done
        self._total = total if total is not None else self._total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=self._total)
        elif self._clock() - self._said >= LINE_EVERY_S:
            self._said = self._clock()
            self._say()

    def note(self, text: str) -> None:
        """Write a line of its own, above the bar on a terminal."""
        if self._bar is not None:
            self._bar.console.print(printable(text), markup=False, highlight=False)
        else:
            _write(printable(text))

    def _say(self) -> None:
        elapsed = max(self._clock() - self._started, 1e-9)
        _write(f"{self._title}: {amount(self._done, self._total, self._unit, elapsed)}")

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(self._unit, markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(self._title, total=self._total)
        self._bar.start()


class Steps:
    """A context manager that says what long work is at, and nothing of short work.

    A step is said once it has taken ``LINE_EVERY_S``, and again at twice the time. It lives on the
    running event loop; the work may be in threads.
    """

    def __init__(self, title: str) -> None:
        """Prepare; nothing is under way yet."""
        self._title = printable(title)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, step: str) -> None:
        """Go on to a step: "reading the twins", for one."""
        if self._timer is not None:
            self._timer.cancel()
        self._wait(step, LINE_EVERY_S, LINE_EVERY_S)

    def _wait(self, step: str, wait_s: float, so_far_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(wait_s, self._say, step, so_far_s)

    def _say(self, step: str, so_far_s: float) -> None:
        _write(f"{self._title}: {printable(step)}, {so_far_s:.0f} s so far")
        self._wait(step, so_far_s, 2 * so_far_s)


def amount(done: int, total: int | None, unit: str, elapsed_s: float) -> str:
    """Return how far work is, in words.

    >>> amount(250, 1000, "rows", 5.0)
    '250 of 1,000 rows (25%), 50/s, 15 s left'
    """
    rate = done / elapsed_s
    words = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    words = f"{words} {unit}".rstrip()
    if total:
        words += f" ({done / total:.0%})"
    if rate >= 1:
        words += f", {rate:,.0f}/s"
    if total and rate > 0 and done < total:
        words += f", {(total - done) / rate:,.0f} s left"
    return words


def _write(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
