"""The program inside a SageMaker training or serving container, and three functions that run it in-process.

```
python -m shapecluster.container train|serve [--root DIR] [--algorithm k-shape|k-means]

main          the whole command line as a function that returns the exit code
load_model    a trained model from its folder or its model.tar.gz
application   a WSGI application that answers requests with such a model
```

The modules:

```
train   _input        hyperparameters and channels     serve   _models     read a model
        _kshape       k-Shape, with _checkpoints               _serving    requests and responses
        _kmeans       K-Means
both    _files        where the files of a job are, and atomic writes
        _signals      SIGTERM
        _handover     the program, for rehearsals of jobs
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapecluster.container.__main__ import main
    from shapecluster.container._models import load_model
    from shapecluster.container._serving import application

__all__ = ["application", "load_model", "main"]

_HOMES = {"application": "_serving", "load_model": "_models", "main": "__main__"}


def __getattr__(name: str) -> Any:
    """Import an entry point on its first use."""
    # Late: `python -m` imports this package before it runs `__main__`, which would then be loaded twice.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
