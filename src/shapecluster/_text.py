"""Text for messages and tables."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_NAMED = 5  # names in a message; panels have hundreds of tickers


def listing(items: Iterable[object], *, limit: int = _MAX_NAMED) -> str:
    """Join the first items and count the others: "'A', 'B' and 7 more"."""
    shown = [str(item) for item in items]
    text = ", ".join(shown[:limit])
    return text if len(shown) <= limit else f"{text} and {len(shown) - limit} more"
