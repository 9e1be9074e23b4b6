"""Count the lines of code of a folder by package: physical lines without blanks, comments and docstrings.

    python .ci/count_lines.py                              src/shapecluster as it is now
    python .ci/count_lines.py --against 9382885            beside an earlier commit
    python .ci/count_lines.py --against 9382885 benchmarks

A line counts if a token of Python stands on it, so a long call over four lines is four lines. Strings in the
place of a docstring do not count, wherever they stand.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tarfile
import tokenize
from collections import Counter
from pathlib import PurePosixPath

SILENT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER),
}


def code_lines(source: str) -> int:
    """Return the number of lines of a module that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last)):
                lines.difference_update(range(first, last + 1))  # of a module, class, function or attribute
    return len(lines)


def sources(folder: str, commit: str | None) -> dict[str, str]:
    """Return the text of every module by its path: of the files in the checkout, or of a commit."""
    if commit is None:
        names = _git("ls-files", "-co", "--exclude-standard", "--", f"{folder}/*.py").decode().splitlines()
        found = {}
        for name in names:
            try:
                with open(name, encoding="utf-8") as file:
                    found[name] = file.read()
            except FileNotFoundError:  # deleted, and not yet committed
                continue
        return found
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, folder))) as archive:
        members = [member for member in archive if member.name.endswith(".py")]
        return {member.name: archive.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]


def by_package(folder: str, commit: str | None) -> tuple[Counter[str], int]:
    """Return the lines of each package directly below the folder, and the number of files."""
    counts: Counter[str] = Counter()
    found = sources(folder, commit)
    for name, source in found.items():
        parts = PurePosixPath(name).relative_to(folder).parts
        counts[parts[0] if len(parts) > 1 else "(single files)"] += code_lines(source)
    return counts, len(found)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", default="src/shapecluster")
    parser.add_argument("--against", metavar="COMMIT", help="an earlier commit to compare with")
    options = parser.parse_args()
    after, n_files = by_package(options.folder, None)
    before, n_before = by_package(options.folder, options.against) if options.against else (Counter(), 0)
    rows = [(name, before[name], after[name]) for name in sorted(before | after)]
    rows += [("total", sum(before.values()), sum(after.values())), ("files", n_before, n_files)]
    for name, old, new in rows:
        print(f"{name:20}{old:8}{new:8}{new - old:+8}" if options.against else f"{name:20}{new:8}")


if __name__ == "__main__":
    main()
