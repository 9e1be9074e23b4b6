"""Transformers that treat each series (row) by itself, and keep tickers and dates."""

from __future__ import annotations

from shapecluster.preprocessing._returns import LogReturns
from shapecluster.preprocessing._scaling import MinMax, ZScore

__all__ = ["LogReturns", "MinMax", "ZScore"]
