"""Removing what was created, whatever happens meanwhile, and telling what could not be removed."""

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

_LONGEST = 3600.0  # seconds that an endpoint may take to be deleted; half of that is usual at most
_IN_PROGRESS = {"Creating", "Updating", "SystemUpdating", "RollingBack"}


class CleanupStack:
    """Deletions to come, in the reverse order of the creations.

    Parameters
    ----------
    platform : Platform
        Where things are created.
    schedule : PollSchedule
        How to wait.
    """

    def __init__(self, platform: Platform, schedule: PollSchedule) -> None:
        self.platform = platform
        self.schedule = schedule
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, noun: str, title: str, name: str, ours: Callable[[], bool] | None = None) -> None:
        """Remember to delete a thing. Called before it is created: half a creation is deleted as well.

        Parameters
        ----------
        noun : str
            As it stands in operations: "endpoint_config".
        title : str
            As it stands in requests: "EndpointConfig".
        name : str
            Its name.
        ours : callable, default=None
            Tells whether what has this name is what was created. None: nobody else has such a name.
        """
        delete = self._delete_endpoint if noun == "endpoint" else self._deleter(noun, title)

        def step() -> None:
            if ours is None or ours():
                delete(name)

        self._steps.append((f"{noun.replace('_', ' ')} {name!r}", step))

    def clear(self) -> None:
        """Forget everything: it is to stay."""
        self._steps.clear()

    def run(self) -> list[str]:
        """Delete everything; what is left, and why.

        An interruption ends the deletion that is under way, and not those that follow it.
        """
        left = []
        while self._steps:
            what, delete = self._steps.pop()
            try:
                with_retries(delete, self.schedule)
            except NotFoundError:
                continue
            except BaseException as error:
                left.append(f"{what} ({type(error).__name__}: {error})")
                logger.warning("Could not delete the %s: %s", what, error)
        return left

    def _deleter(self, noun: str, title: str) -> Callable[[str], None]:
        def delete(name: str) -> None:
            self.platform.call(f"sagemaker.delete_{noun}", **{f"{title}Name": name})

        return delete

    def _delete_endpoint(self, name: str) -> None:
        """An endpoint that is being created can be deleted only after that."""
        delete = self._deleter("endpoint", "Endpoint")

        def try_to() -> dict[str, Any]:
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
        poll(try_to, lambda answer: bool(answer["gone"]), replace(self.schedule, deadline=deadline))

    def _status(self, name: str) -> str | None:
        """Of an endpoint; None where that is not to be known, which is no reason to let it be."""
        try:
            answer = self.platform.call("sagemaker.describe_endpoint", EndpointName=name)
        except NotFoundError:
            raise
        except RemoteError:
            return None
        return str(answer["EndpointStatus"])


@contextmanager
def cleanup_at_end(cleanup: CleanupStack) -> Iterator[None]:
    """Delete everything at the end of a block, however it ends.

    Raises
    ------
    EndpointError
        When the block went well, and something could not be deleted. Where the block raised, its own error
        stays, with a note.
    """
    try:
        yield
    except BaseException as error:
        if left := cleanup.run():
            error.add_note(_told(left))
        raise
    if left := cleanup.run():
        raise EndpointError(_told(left))


def _told(left: list[str]) -> str:
    return (
        f"Could not be deleted, and may be billed: {'; '.join(left)}. "
        "`shapecluster sagemaker clean-up` deletes it, or the console does."
    )
