"""Warnings that point at the line of the user's code.

`warnings.warn` counts a fixed number of frames. Between the user and us stand scikit-learn's Pipeline and
searches, joblib, the standard library, and our own decorators, so no number fits all calls. `warn_user` looks
for the innermost frame that belongs to none of them.

A thread of our own has no frame of the user. `with_user_line` therefore takes the line along when work is
handed to a thread. A worker process has no such line either: every message names its estimator and rows, and
the warning points at our own line there.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from types import FrameType
from typing import Any, NamedTuple, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")

# They call us on behalf of a user. Their names are only looked up: none of them is imported here.
_WRAPPERS = (
    *("shapecluster", "sklearn", "joblib", "numpy", "scipy", "pandas", "threadpoolctl"),
    *("imblearn", "dask", "distributed"),
)
_STANDARD_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")
# Without a virtual environment, installed packages are inside the standard library's folder.
_INSTALLED = tuple(os.path.join(_STANDARD_LIBRARY, name, "") for name in ("site-packages", "dist-packages"))


class _UserLine(NamedTuple):
    """A line of code to point at. It holds no frame, which would keep all local variables alive."""

    filename: str
    number: int
    namespace: dict[str, Any]


_submitted_at: ContextVar[_UserLine | None] = ContextVar("submitted_at", default=None)


def warn_user(owner: object, text: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that names its owner and points at the user's line.

    Parameters
    ----------
    owner : estimator or str
        What the warning is about: an estimator, or the name of a function or job.
    text : str
        The message; it follows the owner's name and a colon.
    category : type, default=UserWarning
        Class of the warning.
    """
    name = owner if isinstance(owner, str) else type(owner).__name__
    issuer = sys._getframe(1)
    line = _innermost_user_line(issuer) or _submitted_at.get() or _line_of(issuer)
    warnings.warn_explicit(
        f"{name}: {text}",
        category,
        line.filename,
        line.number,
        module=line.namespace.get("__name__") or "<string>",
        # The filters "default" and "module" store shown warnings in the user's module.
        registry=line.namespace.setdefault("__warningregistry__", {}),
    )


def with_user_line(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """Wrap a function for a thread: its warnings point at the line that calls this package now."""
    line = _innermost_user_line(sys._getframe(1)) or _submitted_at.get()

    @wraps(function)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Returned:
        token = _submitted_at.set(line)
        try:
            return function(*args, **kwargs)
        finally:
            _submitted_at.reset(token)  # threads of a pool serve several callers

    return run


def _innermost_user_line(frame: FrameType | None) -> _UserLine | None:
    """The first line outwards from `frame` that is no wrapper's; None in a thread without one."""
    wrappers = (*_wrapper_paths(), "<frozen ")  # Python's own start-up code ("<frozen runpy>") has no path
    inner = None
    while frame is not None:
        filename = frame.f_code.co_filename
        standard = filename.startswith(_STANDARD_LIBRARY) and not filename.startswith(_INSTALLED)
        if not standard and not filename.startswith(wrappers) and not _starts_worker(frame, inner):
            return _line_of(frame)
        frame, inner = frame.f_back, frame
    return None


def _starts_worker(frame: FrameType, inner: FrameType | None) -> bool:
    """Whether a frame is the `python -c "...; spawn_main(...)"` that starts a worker process."""
    return (
        frame.f_back is None
        and frame.f_code.co_filename == "<string>"
        and inner is not None
        and inner.f_code.co_name in {"spawn_main", "main"}
        and inner.f_globals.get("__name__", "").startswith(("multiprocessing.", "joblib."))
    )


def _line_of(frame: FrameType) -> _UserLine:
    return _UserLine(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)


def _wrapper_paths() -> list[str]:
    """What the paths of the wrappers begin with: folders of packages, and files of single modules.

    Paths are compared and not names: a user's own sklearn.py, or a folder shapecluster-study, is the user's.
    """
    files = [getattr(sys.modules.get(name), "__file__", None) for name in _WRAPPERS]
    return [file.removesuffix("__init__.py") for file in files if file is not None]
