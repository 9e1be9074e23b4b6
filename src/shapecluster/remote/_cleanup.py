"""Deletion of created resources, even after errors or Ctrl-C, with a report of those that are left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from shapecluster.exceptions import EndpointError, InvalidRequestError, NotFoundError, RemoteError
from shapecluster.remote._platform import Platform
from shapecluster.remote._polling import PollSchedule, poll, with_retries

logger = logging.getLogger("shapecluster.remote")

_LONGEST = 3600.0  # seconds that the deletion of an endpoint may take; it usually takes half of that at most
_IN_PROGRESS = {"Creating", "Updating", "SystemUpdating", "RollingBack"}


class CleanupStack:
    """Resources to delete, in the reverse order of their creation.

    Parameters
    ----------
    platform : Platform
        Where the resources are created.
    schedule : PollSchedule
        How to wait.
    """

    def __init__(self, platform: Platform, schedule: PollSchedule) -> None:
        self.platform = platform
        self.schedule = schedule
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, noun: str, title: str, name: str, is_own: Callable[[], bool] | None = None) -> None:
        """Register a resource for deletion.

        Call this before the resource is created: a creation whose answer is lost is then deleted as well.

        Parameters
        ----------
        noun : str
            Its kind as in operations: "endpoint_config".
        title : str
            Its kind as in requests: "EndpointConfig".
        name : str
            Its name.
        is_own : callable, default=None
            Whether the resource of this name is the one that was created, and not someone else's. None: the
            name is unique.
        """
        delete = self._delete_endpoint if noun == "endpoint" else self._deleter(noun, title)

        def step() -> None:
            if is_own is None or is_own():
                delete(name)

        self._steps.append((f"{noun.replace('_', ' ')} {name!r}", step))

    def clear(self) -> None:
        """Drop all registrations: the resources stay."""
        self._steps.clear()

    def run(self) -> list[str]:
        """Delete everything, and return what is left with the reasons.

        An interruption ends the current deletion only; the others still run.
        """
        left = []
        while self._steps:
            resource, delete = self._steps.pop()
            try:
                with_retries(delete, self.schedule)
            except NotFoundError:
                continue
            except BaseException as error:  # Ctrl-C as well: resources that are not deleted are billed
                left.append(f"{resource} ({type(error).__name__}: {error})")
                logger.warning("Could not delete the %s: %s", resource, error)
        return left

    def _deleter(self, noun: str, title: str) -> Callable[[str], None]:
        def delete(name: str) -> None:
            self.platform.call(f"sagemaker.delete_{noun}", **{f"{title}Name": name})

        return delete

    def _delete_endpoint(self, name: str) -> None:
        """Delete an endpoint; while it is being created the service refuses that, so try until it is up."""
        delete = self._deleter("endpoint", "Endpoint")

        def try_to_delete() -> dict[str, Any]:
            try:
                delete(name)
            except InvalidRequestError:
                status = self._status(name)
                if status is None or status in _IN_PROGRESS:
                    return {"gone": False}
                if status != "Deleting":  # by an earlier call
                    delete(name)
            return {"gone": True}

        deadline = self.schedule.clock.now() + _LONGEST
        poll(try_to_delete, lambda answer: bool(answer["gone"]), replace(self.schedule, deadline=deadline))

    def _status(self, name: str) -> str | None:
        """Status of an endpoint; None where it cannot be read, which must not end the deletion."""
        try:
            answer = self.platform.call("sagemaker.describe_endpoint", EndpointName=name)
        except NotFoundError:
            raise
        except RemoteError:
            return None
        return str(answer["EndpointStatus"])


@contextmanager
def cleanup_at_end(cleanup: CleanupStack) -> Iterator[None]:
    """Delete everything at the end of a block, also when the block raises.

    Raises
    ------
    EndpointError
        When the block succeeded, and something could not be deleted. An error of the block itself is raised
        as it is, with a note.
    """
    try:
        yield
    except BaseException as error:
        if left := cleanup.run():
            error.add_note(_left_message(left))
        raise
    if left := cleanup.run():
        raise EndpointError(_left_message(left))


def _left_message(left: list[str]) -> str:
    return (
        f"Could not be deleted, and may be billed: {'; '.join(left)}. "
        "`shapecluster sagemaker clean-up` deletes it, or the console does."
    )
