"""Find look-alikes of a portfolio on a simulated market with planted twins and late listings."""

from shapecluster import ShapeNeighbors
from shapecluster.datasets import make_market
from shapecluster.preprocessing import LogReturns

market = make_market(n_stocks=100, n_sectors=5, n_days=253, max_lag=3, n_pairs=3, n_late=15, random_state=3)
portfolio = market.pairs["stock"].tolist()
print("Planted twins:", ", ".join(f"{a}-{b}" for a, b in market.pairs[["stock", "twin"]].to_numpy()))

# Days before a late listing are missing values. They are masked in all distances.
returns = LogReturns(missing="mask").fit_transform(market.prices)
universe = ShapeNeighbors(max_shift=5, missing="mask").fit(returns)

print("\nNearest to each holding (lag > 0: the look-alike trails the holding, in days):")
print(universe.similar(portfolio, 3).round(2).to_string(index=False))

print("\nNearest to the portfolio as a whole:")
print(universe.similar(portfolio, 5, basket=True).round(2).to_string(index=False))
