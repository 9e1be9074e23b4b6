"""Import optional dependencies where they are used, with an error that names the extra to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_optional(module: str, *, extra: str, needed_for: str) -> Any:
    """Import and return `module`, or raise an error that names its extra.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of shapecluster that installs it.
    needed_for : str
        The subject of the error message, such as "Reading a parquet file".

    Raises
    ------
    ImportError
        When the module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        # The module is installed, but a dependency of it is missing: installing the extra would not help.
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise ImportError(
            f"{needed_for} needs {module.split('.')[0]}, which is not installed: "
            f'pip install "shapecluster[{extra}]"'
        ) from error
