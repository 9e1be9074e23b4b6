"""What the commands `shapecluster sagemaker list-leftovers` and `clean-up` do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shapecluster.cli._common import JobLocation, errors, say, told

if TYPE_CHECKING:
    from rich.console import Console

    from shapecluster.remote import Leftover


def list_leftovers(place: JobLocation, bucket: str | None, prefix: str, min_age: float) -> None:
    """Run `shapecluster sagemaker list-leftovers`."""
    _clean_up(place, bucket, prefix, min_age, delete=False, hint="")


def clean_up(place: JobLocation, bucket: str | None, prefix: str, min_age: float, *, yes: bool) -> None:
    """Run `shapecluster sagemaker clean-up`."""
    _clean_up(place, bucket, prefix, min_age, delete=yes, hint="Nothing was deleted: --yes does that.")


def _clean_up(
    place: JobLocation, bucket: str | None, prefix: str, min_age: float, *, delete: bool, hint: str
) -> None:
    from shapecluster import remote
    from shapecluster.report._terminal import make_console

    console = make_console()
    with errors(place), told():
        session = place.session()
        found = remote.list_leftovers(session, bucket=bucket, prefix=prefix, min_age=min_age)
        if not found:
            say(console, "Nothing is left.")
            return
        _print(found, console)
        if delete:
            deleted = remote.clean_up(found, session)
            say(console, f"Deleted: {len(deleted)} of {len(found)}.")
        elif hint and not all(leftover.kept_for for leftover in found):
            say(console, hint)


def _print(found: Sequence[Leftover], console: Console) -> None:
    for leftover in found:
        since = "" if leftover.created is None else f", since {leftover.created:%Y-%m-%d %H:%M} UTC"
        say(console, f"{leftover.kind} {leftover.name}{since}")
        if leftover.kept_for:
            jobs = ", ".join(leftover.kept_for)
            say(console, f"  stays: read by {jobs}, not collected yet (attach collects, stop gives up)")
