"""Cluster a simulated market by price levels and by returns, and compare both with the true sectors.

Writes clusters.png to the current folder.
"""

import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.pipeline import make_pipeline

from shapecluster import LocalKShape
from shapecluster.datasets import make_market
from shapecluster.plotting import ClusterGridDisplay
from shapecluster.preprocessing import LogReturns

# Stocks that trail the market by up to three days: what shifts are for.
market = make_market(n_stocks=80, n_sectors=4, n_days=253, max_lag=3, random_state=0)
prices = market.prices

levels = LocalKShape(4, random_state=0).fit(prices)
pipeline = make_pipeline(LogReturns(), LocalKShape(4, max_shift=5, random_state=0)).fit(prices)
returns = pipeline[-1]

print("Agreement with the true sectors (0 is chance, 1 the same partition):")
print(f"  price levels  {adjusted_mutual_info_score(market.sectors, levels.labels_):.2f}")
print(f"  log returns   {adjusted_mutual_info_score(market.sectors, returns.labels_):.2f}")

print("\nSectors by cluster of returns:")
print(pd.crosstab(returns.labels_frame()["cluster"], market.sectors).to_string())

display = ClusterGridDisplay.from_estimator(
    returns, pipeline[:-1].transform(prices), cumulative=True, n_columns=2
)
display.figure_.savefig("clusters.png", dpi=110)
