"""Late imports of optional dependencies, with an error that says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_optional(module: str, *, extra: str, needed_for: str) -> Any:
    """Import and return `module`, or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of shapecluster that installs it.
    needed_for : str
        What the caller is doing; opens the error message.

    Raises
    ------
    ImportError
        When the module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise  # the module is there, but something that it needs is broken
        raise ImportError(
            f"{needed_for} needs {module.split('.')[0]}, which is not installed: "
            f'pip install "shapecluster[{extra}]"'
        ) from error
