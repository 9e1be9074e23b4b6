"""Findings as JSON, for other programs.

The schema is `shapecluster.findings/1`. Removing a key or changing its meaning raises the number. Unknown
values are null, never NaN. The same input and seed give the same bytes.

======================= ==================================================================================
key                     meaning
======================= ==================================================================================
schema, version         the schema, and the version of shapecluster that wrote it
source                  kind ("file", "yahoo", "simulated"), description, sectors_from
settings                the settings: k (null for the default), criterion, on, max_shift,
                        portfolio, n_look_alikes, near_identical (SBD), seed, repair_prints
data                    n_stocks, n_days, n_incomplete, first_day, last_day, after cleaning
choice                  k shown, criterion, by_criterion (name to k, or null), near_ties (name to a list
                        of k), tried, least_ssd_is_largest_k
ssd_by_k                a list of k, ssd and the scores of the criteria
sector_agreement        adjusted mutual information of clusters and sectors, or null
clusters                a list: cluster, size, mean_sbd, dominant_sector, dominant_share, sectors (name to
                        number), members (ticker, sector, sbd, shift; the nearest to the center first)
near_identical_pairs    a list: first, second, first_sector, second_sector, sbd, lag (days by which the
                        second trails the first), correlation, coverage (share of common days)
n_near_identical        number of pairs at or below settings.near_identical; when 0, the list has the
                        nearest pairs
look_alikes             null, or a list: holding, rank, look_alike, sector, sbd, lag (days by which the
                        look-alike trails the holding), correlation, coverage
basket                  the same for the portfolio as a whole, without holding
cleaning                counts (a list: kind, action, events, stocks), details (a list: ticker, kind,
                        action, start, end, n_days, size (log return), score (robust standard deviations),
                        detail)
notes                   warnings and limits of the data, as sentences
======================= ==================================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from shapecluster.report._findings import StocksFindings

_DATA = ("n_stocks", "n_days", "n_incomplete", "first_day", "last_day")


def to_json(findings: StocksFindings) -> str:
    """Return the findings as JSON text, in the schema that this module documents."""
    source, choice, members = findings.source, findings.choice, findings.members
    settings = asdict(findings.settings) | {"near_identical": findings.settings.identity_threshold}
    del settings["n_jobs"]  # results do not depend on it
    document = {
        "schema": "shapecluster.findings/1",
        "version": version("shapecluster"),
        "source": {name: getattr(source, name) for name in ("kind", "description", "sectors_from")},
        "settings": settings,
        "data": {name: getattr(findings, name) for name in _DATA},
        "choice": asdict(choice) | {"least_ssd_is_largest_k": choice.least_ssd_is_largest_k},
        "ssd_by_k": findings.sweep.reset_index(),
        "sector_agreement": findings.sector_agreement,
        "clusters": [
            {
                "cluster": cluster.cluster,
                "size": len(cluster.tickers),
                "mean_sbd": cluster.mean_sbd,
                "dominant_sector": cluster.dominant_sector,
                "dominant_share": cluster.dominant_share,
                "sectors": cluster.sectors,
                "members": members[members["cluster"] == cluster.cluster].drop(columns="cluster"),
            }
            for cluster in findings.clusters
        ],
        "near_identical_pairs": findings.pairs,
        "n_near_identical": findings.n_identical,
        "look_alikes": findings.look_alikes,
        "basket": findings.basket,
        "cleaning": {"counts": findings.event_counts, "details": findings.cleaning},
        "notes": findings.notes,
    }
    return json.dumps(_plain(document), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _plain(value: Any) -> Any:
    """Convert tables, numbers, dates and containers to types of JSON; missing values become None."""
    if isinstance(value, pd.DataFrame):
        value = value.to_dict(orient="records")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no NaN and no infinity
        return None
    return value
