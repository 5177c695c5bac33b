"""The progress of a long read: a bar on a terminal, nothing anywhere else."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class ProgressBar:
    """Progress bars, one for each list that is read, which are removed at the end. Use it as a context manager."""

    def __init__(self, target: Console) -> None:
        """Draw on a console, if it is a terminal."""
        self._bar = Progress(
            TextColumn("reading {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=target,
            transient=True,
            disable=not target.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the bars, and show the cursor again."""
        self._bar.stop()

    def read(self, what: str, done: int, total: int | None) -> None:
        """Show how many are read of how many (``None`` if that is not known)."""
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=None)
        self._bar.update(self._tasks[what], completed=done, total=total)
