"""The output folder of a report. Files are staged first and moved in at the end: all of them or none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from shapecluster._files import move, temporary_folder

# Only files that a report writes may be removed: the user may keep other files in the folder.
_REPORT_FILES = re.compile(
    r"(findings\.json|index\.html|ssd_by_k\.png|clusters\.png|cluster_\d+\.png"
    r"|(clusters|ssd_by_k|lookalikes|basket|pairs|cleaning)\.csv)"
)


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Create an output folder if needed, and a stage inside it; both go again unless files are published.

    Parameters
    ----------
    path : Path
        The output folder.

    Yields
    ------
    Path
        The stage: a temporary folder to write files to before they are published.

    Raises
    ------
    ValueError
        When no files can be written to the folder; the message says why.
    """
    # Listed from the innermost outward, which is the order in which they can be removed again. And before
    # they exist: an interrupt may come between their creation and any line after it.
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with ExitStack() as stack:
            try:
                path.mkdir(parents=True, exist_ok=True)
                # Inside the folder, so that both are on one file system and a move is atomic.
                stage = stack.enter_context(temporary_folder(path))
            except OSError as error:
                reason = "it is a file" if path.is_file() else (error.strerror or str(error)).lower()
                raise ValueError(f"cannot write to the output directory {str(path)!r}: {reason}.") from error
            yield stage
    finally:
        for folder in created:
            with suppress(OSError):  # it has files, or was not created yet
                folder.rmdir()


def publish(stage: Path, folder: Path) -> list[Path]:
    """Move all files of a stage into the output folder, each by one atomic replacement.

    Files of an earlier report that the new one does not have are removed.

    Returns
    -------
    list of Path
        The files, sorted by name.
    """
    staged = sorted(file.name for file in stage.iterdir())
    for stale in folder.iterdir():
        if _REPORT_FILES.fullmatch(stale.name) and stale.name not in staged and stale.is_file():
            stale.unlink()
    # The page and the findings come last: a reader who sees them finds every file that they name.
    for name in sorted(staged, key=lambda name: name in ("findings.json", "index.html")):
        move(stage / name, folder / name)
    return [folder / name for name in staged]
