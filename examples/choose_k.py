"""Fit many numbers of clusters on a simulated market with six sectors, and compare the criteria.

Writes ssd_by_k.png to the current folder.
"""

import textwrap
import warnings

from shapecluster import KSweep, LocalKShape
from shapecluster.datasets import make_market
from shapecluster.exceptions import SweepWarning
from shapecluster.plotting import SSDCurveDisplay
from shapecluster.preprocessing import LogReturns

market = make_market(n_stocks=90, n_sectors=6, n_days=253, random_state=0)
returns = LogReturns().fit_transform(market.prices)

sweep = KSweep(LocalKShape(max_shift=0, random_state=0), k=range(2, 13))
with warnings.catch_warnings(record=True) as caught:  # the minimum SSD is at the largest k
    warnings.simplefilter("always", SweepWarning)
    sweep.fit(returns)
for warning in caught:
    print(textwrap.fill(f"Warning: {warning.message}", 100) + "\n")

print(sweep.results_[["ssd", "elbow", "silhouette"]].round(3).to_string())
print(f"\nminimum SSD: {sweep.ssd_k_}   elbow: {sweep.elbow_k_}   silhouette: {sweep.silhouette_k_}")

display = SSDCurveDisplay.from_sweep(sweep)
display.figure_.savefig("ssd_by_k.png", dpi=110)
