"""Progress of long work with the time left: bars in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 5.0  # between plain lines of one step


class ProgressDisplay:
    """Called with (step, done, total or None); use it as a context manager.

    A step ends when another begins or all of it is done.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._step: str | None = None
        self._begin = self._last_line = 0.0
        self._started_at = 0  # items that a continued build had already

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=self._console)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Shows how far a step is."""
        now = time.monotonic()
        begins = step != self._step
        if begins:
            self._finish_bar()
            self._step, self._begin, self._last_line, self._started_at = step, now, now, done
        if self._bars is not None:
            self._show_bar(self._bars, step, done, total)
        elif begins or (total is not None and done == total) or now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            print(self._line(step, done, total, now), file=self._stream, flush=True)

    def _show_bar(self, bars: Progress, step: str, done: int, total: int | None) -> None:
        if self._task is None:
            self._task = bars.add_task(step, total=total)
        bars.update(self._task, completed=done, total=total)

    def _finish_bar(self) -> None:
        if self._bars is not None and self._task is not None:
            task = next(t for t in self._bars.tasks if t.id == self._task)
            total = task.total if task.total is not None else max(task.completed, 1)
            self._bars.update(self._task, total=total, completed=total)
        self._task = None

    def _line(self, step: str, done: int, total: int | None, now: float) -> str:
        if total is None:
            return f"{step}: {done:,}" if done else step
        text = f"{step}: {done:,} of {total:,}"
        fresh = done - self._started_at
        if 0 < done < total and fresh > 0:
            text += f", {_duration((now - self._begin) * (total - done) / fresh)} left"
        return text


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
