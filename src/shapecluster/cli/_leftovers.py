"""`shapecluster sagemaker list-leftovers` and `clean-up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapecluster.cli import _kinds as kinds
from shapecluster.cli._common import console_messages, print_result
from shapecluster.cli._location import Location, bucket, prefix
from shapecluster.cli._options import option, options

if TYPE_CHECKING:
    from shapecluster.remote import Leftover


@options
class LeftoverOptions(Location):
    """The options of `list-leftovers`."""

    bucket: str | None = bucket()
    prefix: str = prefix()
    min_age: float = option(
        3600.0, "Minimum age of staged data: a job may still need younger data.", "Job", kinds.SECONDS
    )


@options
class CleanUpOptions(LeftoverOptions):
    """The options of `clean-up`."""

    yes: bool = option(False, "Delete. Without it the command only lists.", "Job")


def list_leftovers(options: LeftoverOptions) -> None:
    """List endpoints, models and staged data that jobs left behind, and that may cost money."""
    with console_messages():
        _print_leftovers(options)


def clean_up(options: CleanUpOptions) -> None:
    """List what jobs left behind, and delete it with --yes.

    Keeps data that a job reads whose result was not collected, and all model.tar.gz.
    """
    from shapecluster import remote

    with console_messages():
        # Printed before they are deleted: if that fails midway, the list is needed most.
        leftovers = _print_leftovers(options)
        if options.yes and leftovers:
            deleted = remote.clean_up(leftovers, options.session())
            print_result(f"Deleted: {len(deleted)} of {len(leftovers)}.")
        elif not all(leftover.kept_for for leftover in leftovers):  # --yes would delete something
            print_result("Nothing was deleted. Add --yes to delete.")


def _print_leftovers(options: LeftoverOptions) -> list[Leftover]:
    from shapecluster import remote

    bucket, prefix = options.bucket, options.prefix
    remote.Job(bucket=bucket, prefix=prefix)  # raises a ValueError for what no job can have used
    leftovers = remote.list_leftovers(
        options.session(), bucket=bucket, prefix=prefix, min_age=options.min_age
    )
    if not leftovers:
        print_result("There are no leftovers.")
    for leftover in leftovers:
        since = "" if leftover.created is None else f", since {leftover.created:%Y-%m-%d %H:%M} UTC"
        print_result(f"{leftover.kind} {leftover.name}{since}")
        if leftover.kept_for:
            jobs = ", ".join(leftover.kept_for)
            print_result(f"  kept: read by {jobs}, not collected yet (attach collects it, stop discards it)")
    return leftovers
