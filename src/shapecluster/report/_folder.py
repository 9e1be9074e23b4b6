"""A folder of results that is complete or as it was: files are staged first and moved in at the end."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_OURS = re.compile(
    r"(findings\.json|index\.html|ssd_by_k\.png|clusters\.png|cluster_\d+\.png"
    r"|(clusters|ssd_by_k|lookalikes|basket|pairs|cleaning)\.csv)"
)


class OutputFolder:
    """A folder to write a report into.

    Entering claims it: the folder is made if need be, and a first write shows that it takes files, before
    any work is done. `publish` moves the staged files in, one atomic replacement each, and removes the
    files that an earlier report left under the same names and this one does not have. Leaving without
    `publish` leaves everything as it was.

    Parameters
    ----------
    path : Path
        The folder.

    Attributes
    ----------
    stage : Path
        Where to write the files before they are published.
    """

    stage: Path

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        """Make the folder and the stage in it, or say why that cannot be."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._made = missing
            self.stage = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.path))
        except OSError as error:
            self._remove_made()
            reason = "it is a file" if self.path.is_file() else (error.strerror or str(error)).lower()
            raise ValueError(f"cannot write to the output directory {str(self.path)!r}: {reason}.") from error
        return self

    def publish(self) -> list[Path]:
        """Move what was staged into the folder.

        Returns
        -------
        list of Path
            The files, sorted by name.
        """
        staged = sorted(file.name for file in self.stage.iterdir())
        for stale in self.path.iterdir():
            if _OURS.fullmatch(stale.name) and stale.name not in staged and stale.is_file():
                stale.unlink()
        # The page and the findings come last: who sees them finds everything that they speak of.
        for name in sorted(staged, key=lambda name: name in ("findings.json", "index.html")):
            os.replace(self.stage / name, self.path / name)
        self._made = []
        return [self.path / name for name in staged]

    def keep(self, name: str) -> Path:
        """Move one staged file into the folder, whatever becomes of the rest."""
        os.replace(self.stage / name, self.path / name)
        self._made = []
        return self.path / name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the stage, and a folder that was made for nothing."""
        shutil.rmtree(self.stage, ignore_errors=True)
        self._remove_made()

    def _remove_made(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return  # not empty: somebody else's by now
