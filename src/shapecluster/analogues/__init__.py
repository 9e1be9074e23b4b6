"""Historical analogues: past windows of any stock that look like today's, and the returns after them."""

from __future__ import annotations

from shapecluster.analogues._analogues import HistoricalAnalogues
from shapecluster.analogues._results import Analogues

__all__ = ["Analogues", "HistoricalAnalogues"]
