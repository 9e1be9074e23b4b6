"""The output folder of a report. Files are staged first and moved in at the end: all of them or none."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from shapecluster._files import move, temporary_folder

# Only files that a report writes may be removed: the user may keep other files in the folder.
_REPORT_FILES = re.compile(
    r"(findings\.json|index\.html|ssd_by_k\.png|clusters\.png|cluster_\d+\.png"
    r"|(clusters|ssd_by_k|lookalikes|basket|pairs|cleaning)\.csv)"
)


class OutputFolder:
    """A context manager for the folder that a report is written to.

    Entering creates the folder if needed, and a stage inside it, which fails at once when the folder is not
    writable. `publish` moves each staged file in by one atomic replacement. It also removes files of an
    earlier report that the new one does not have. Leaving without `publish` changes nothing.

    Parameters
    ----------
    path : Path
        The folder.

    Attributes
    ----------
    stage : Path
        The folder to write files to before they are published; there is one only inside the context.
    """

    stage: Path

    def __init__(self, path: Path) -> None:
        self.path = path
        self._staging = ExitStack()
        self._created: list[Path] = []

    def __enter__(self) -> Self:
        """Create the folder and the stage; a ValueError says why that is not possible."""
        # Remembered from the innermost outward, which is the order in which they can be removed again.
        # And before they exist: an interrupt may come between their creation and any line after it.
        self._created = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Inside the folder, so that both are on one file system and a move is atomic.
            self.stage = self._staging.enter_context(temporary_folder(self.path))
            return self
        except BaseException as error:
            self._remove()
            if not isinstance(error, OSError):
                raise
            reason = "it is a file" if self.path.is_file() else (error.strerror or str(error)).lower()
            raise ValueError(f"cannot write to the output directory {str(self.path)!r}: {reason}.") from error

    def publish(self) -> list[Path]:
        """Move all staged files into the folder.

        Returns
        -------
        list of Path
            The files, sorted by name.
        """
        staged = sorted(file.name for file in self.stage.iterdir())
        for stale in self.path.iterdir():
            if _REPORT_FILES.fullmatch(stale.name) and stale.name not in staged and stale.is_file():
                stale.unlink()
        # The page and the findings come last: a reader who sees them finds every file that they name.
        for name in sorted(staged, key=lambda name: name in ("findings.json", "index.html")):
            self.publish_file(name)
        return [self.path / name for name in staged]

    def publish_file(self, name: str) -> Path:
        """Move one staged file into the folder, even if the run fails afterward."""
        move(self.stage / name, self.path / name)
        self._created = []
        return self.path / name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the stage, and the folder when it was created and nothing was published."""
        # Errors are ignored: one here would hide the error that ended the run.
        self._remove()

    def _remove(self) -> None:
        self._staging.close()
        for folder in self._created:
            with suppress(OSError):  # not created yet, or another process has written to it
                folder.rmdir()
