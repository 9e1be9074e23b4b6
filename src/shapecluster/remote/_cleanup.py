"""Removing what was created, whatever happens meanwhile, and telling what could not be removed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shapecluster.exceptions import EndpointError, InvalidRequestError, NotFoundError
from shapecluster.remote._platform import Platform
from shapecluster.remote._polling import Pace, patiently, poll

logger = logging.getLogger("shapecluster.remote")

_IN_PROGRESS = {"Creating", "Updating", "SystemUpdating", "RollingBack"}


class Undo:
    """Deletions to come, in the reverse order of the creations.

    Parameters
    ----------
    platform : Platform
        Where things are created.
    pace : Pace
        How to wait.
    """

    def __init__(self, platform: Platform, pace: Pace) -> None:
        self.platform = platform
        self.pace = pace
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, noun: str, title: str, name: str) -> None:
        """Remember to delete a thing. Called before it is created: half a creation is deleted as well.

        Parameters
        ----------
        noun : str
            As it stands in operations: "endpoint_config".
        title : str
            As it stands in requests: "EndpointConfig".
        name : str
            Its name.
        """
        delete = self._delete_endpoint if noun == "endpoint" else self._deleter(noun, title)
        self._steps.append((f"{noun.replace('_', ' ')} {name!r}", lambda: delete(name)))

    def drop(self) -> None:
        """Forget the last thing: it is not ours."""
        self._steps.pop()

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
                patiently(delete, self.pace)
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
        try:
            self.platform.call("sagemaker.delete_endpoint", EndpointName=name)
        except InvalidRequestError:
            # An endpoint that is being created can be deleted only after that.
            answer = poll(
                lambda: self.platform.call("sagemaker.describe_endpoint", EndpointName=name),
                lambda answer: answer["EndpointStatus"] not in _IN_PROGRESS,
                self.pace,
            )
            if answer["EndpointStatus"] != "Deleting":  # by an earlier call
                self.platform.call("sagemaker.delete_endpoint", EndpointName=name)


@contextmanager
def cleaned_up(undo: Undo) -> Iterator[None]:
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
        if left := undo.run():
            error.add_note(_told(left))
        raise
    if left := undo.run():
        raise EndpointError(_told(left))


def _told(left: list[str]) -> str:
    return (
        f"Could not be deleted, and may be billed: {'; '.join(left)}. "
        "`shapecluster sagemaker clean-up` deletes it, or the console does."
    )
