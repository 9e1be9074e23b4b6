"""The programs of the container, for callers that run them without a container.

`shapecluster.remote` rehearses jobs, and must not depend on their computations. `shapecluster.container` has
the programs, and must not be imported by `remote`. The package's `__init__` connects them here. It is always
imported first, so a rehearsal finds its programs in every process, with or without an estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeAlias

WsgiApp: TypeAlias = Callable[..., Iterable[bytes]]
ProgramMain: TypeAlias = Callable[[list[str]], int]


class ContainerPrograms(Protocol):
    """The program of a container as a rehearsal runs it: one program, which trains and serves."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command that starts the program in a process of its own; its arguments follow."""

    @property
    def logger_name(self) -> str:
        """Name of the logger that the program writes to."""

    def algorithm_for(self, image: str) -> str:
        """The value of the program's option ``--algorithm`` that stands for an image or a listing."""

    def load_main(self) -> ProgramMain:
        """Import the program as a function of its arguments, which returns an exit code."""

    def load_app(self, model: Path) -> WsgiApp:
        """Import the server of the model in a folder as a WSGI application."""


def _nothing_provided() -> ContainerPrograms:
    raise RuntimeError("No programs were handed over: shapecluster/__init__.py calls provide_programs.")


_provider: Callable[[], ContainerPrograms] = _nothing_provided


def provide_programs(provider: Callable[[], ContainerPrograms]) -> None:
    """Set the function that imports the programs; it is called when a rehearsal first needs them."""
    global _provider
    _provider = provider


def container_programs() -> ContainerPrograms:
    """The programs that were handed over."""
    return _provider()
