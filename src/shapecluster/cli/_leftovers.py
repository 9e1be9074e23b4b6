"""The runs of `shapecluster sagemaker list-leftovers` and `clean-up`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shapecluster.cli._common import JobLocation, as_command_errors, console_messages, print_line

if TYPE_CHECKING:
    from rich.console import Console

    from shapecluster.remote import Leftover


def list_leftovers(location: JobLocation, bucket: str | None, prefix: str, min_age: float) -> None:
    """Run `shapecluster sagemaker list-leftovers`."""
    _list_and_delete(location, bucket, prefix, min_age, delete=False, hint="")


def clean_up(location: JobLocation, bucket: str | None, prefix: str, min_age: float, *, yes: bool) -> None:
    """Run `shapecluster sagemaker clean-up`."""
    hint = "Nothing was deleted. Add --yes to delete."
    _list_and_delete(location, bucket, prefix, min_age, delete=yes, hint=hint)


def _list_and_delete(
    location: JobLocation, bucket: str | None, prefix: str, min_age: float, *, delete: bool, hint: str
) -> None:
    from shapecluster import remote
    from shapecluster.report._terminal import make_console

    console = make_console()
    with as_command_errors(), console_messages():
        session = location.session()
        leftovers = remote.list_leftovers(session, bucket=bucket, prefix=prefix, min_age=min_age)
        if not leftovers:
            print_line(console, "There are no leftovers.")
            return
        # Printed before they are deleted: if that fails midway, the list is needed most.
        _print_leftovers(leftovers, console)
        if delete:
            deleted = remote.clean_up(leftovers, session)
            print_line(console, f"Deleted: {len(deleted)} of {len(leftovers)}.")
        elif hint and not all(leftover.kept_for for leftover in leftovers):  # --yes would delete something
            print_line(console, hint)


def _print_leftovers(leftovers: Sequence[Leftover], console: Console) -> None:
    for leftover in leftovers:
        since = "" if leftover.created is None else f", since {leftover.created:%Y-%m-%d %H:%M} UTC"
        print_line(console, f"{leftover.kind} {leftover.name}{since}")
        if leftover.kept_for:
            jobs = ", ".join(leftover.kept_for)
            print_line(
                console, f"  kept: read by {jobs}, not collected yet (attach collects it, stop discards it)"
            )
