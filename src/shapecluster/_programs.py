"""The programs of the container, for callers that run them without a container.

`shapecluster.remote` rehearses jobs, and must not depend on their computations. `shapecluster.container` has
the programs, and must not be imported by `remote`. The package's `__init__` connects them here. It is always
imported first, so a rehearsal finds its programs in every process, with or without an estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

WsgiApp: TypeAlias = Callable[..., Iterable[bytes]]
ProgramMain: TypeAlias = Callable[[list[str]], int]


@dataclass(frozen=True)
class ContainerPrograms:
    """The program of a container as a rehearsal runs it: one program, which trains and serves.

    Attributes
    ----------
    command : tuple of str
        The command that starts the program in a process of its own; its arguments follow.
    logger_name : str
        Name of the logger that the program writes to.
    algorithm_for : callable
        The value of the program's option ``--algorithm`` that stands for an image or a listing.
    load_main : callable
        Imports the program as a function of its arguments, which returns an exit code.
    load_app : callable
        Imports the server of the model in a folder as a WSGI application.
    """

    command: tuple[str, ...]
    logger_name: str
    algorithm_for: Callable[[str], str]
    load_main: Callable[[], ProgramMain]
    load_app: Callable[[Path], WsgiApp]


_provider: Callable[[], ContainerPrograms] | None = None


def provide_programs(provider: Callable[[], ContainerPrograms]) -> None:
    """Set the function that imports the programs; it is called when a rehearsal first needs them."""
    global _provider
    _provider = provider


def container_programs() -> ContainerPrograms:
    """The programs that were handed over."""
    if _provider is None:
        raise RuntimeError("No programs were handed over: shapecluster/__init__.py calls provide_programs.")
    return _provider()
