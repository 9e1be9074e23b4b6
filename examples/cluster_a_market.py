"""Cluster a simulated market by price levels and by log returns, and compare both with the true sectors.

Writes clusters.png to the current folder.
"""

import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.pipeline import make_pipeline

from shapecluster import LocalKShape
from shapecluster.datasets import make_market
from shapecluster.plotting import ClusterGridDisplay
from shapecluster.preprocessing import LogReturns

# Some stocks trail the market by up to three days, so the clustering needs shifts.
market = make_market(n_stocks=80, n_sectors=4, n_days=253, max_lag=3, random_state=0)
prices = market.prices

levels = LocalKShape(4, random_state=0).fit(prices)
pipeline = make_pipeline(LogReturns(), LocalKShape(4, max_shift=5, random_state=0)).fit(prices)
returns = pipeline[-1]  # the clusterer of the pipeline

print("Adjusted mutual information with the true sectors (0 is chance, 1 the same partition):")
print(f"  price levels  {adjusted_mutual_info_score(market.sectors, levels.labels_):.2f}")
print(f"  log returns   {adjusted_mutual_info_score(market.sectors, returns.labels_):.2f}")

print("\nSectors by cluster of returns:")
print(pd.crosstab(returns.labels_frame()["cluster"], market.sectors).to_string())

# Daily returns look like noise, so their cumulative sums are drawn.
display = ClusterGridDisplay.from_estimator(pipeline, prices, cumulative=True, n_columns=2)
display.figure_.savefig("clusters.png", dpi=110)
