"""Names of jobs, models and endpoints: valid, unique, and sortable by time."""

from __future__ import annotations

import re
import time
import uuid

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_LIMIT = 63


def unique_name(base: str, wall: float) -> str:
    """Make a unique name: `base`, the time in UTC, and eight random digits.

    Parameters
    ----------
    base : str
        What the name begins with; characters that SageMaker does not allow become dashes.
    wall : float
        Seconds since 1970.
    """
    # The base is cut and never the tail, which makes the name unique.
    tail = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(wall))}-{uuid.uuid4().hex[:8]}"
    head = re.sub(r"[^a-zA-Z0-9]+", "-", base).strip("-")[: _LIMIT - len(tail) - 1].rstrip("-")
    return f"{head}-{tail}" if head else f"j-{tail}"


def check_name(name: object, subject: str) -> str:
    """Check that SageMaker allows a name, and return it.

    Raises
    ------
    ValueError
        When it does not.
    """
    if not isinstance(name, str) or len(name) > _LIMIT or not _NAME.fullmatch(name):
        raise ValueError(
            f"{subject} must be a name of 1 to {_LIMIT} letters, digits and dashes that begins and ends with "
            f"a letter or digit. Got {name!r} instead."
        )
    return name
