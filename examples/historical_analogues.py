"""Find past windows that look like a stock's last months, on a simulated market with a planted repetition.

Writes analogues.png to the current folder.
"""

import numpy as np

from shapecluster import HistoricalAnalogues
from shapecluster.datasets import make_market
from shapecluster.plotting import AnaloguesDisplay

prices = make_market(n_stocks=60, n_sectors=5, n_days=504, random_state=1).prices
query, source = prices.index[[0, 30]]

# `query` now repeats what `source` did a year ago: at another level, three times as strong, with some noise.
past = np.log(prices.loc[source].iloc[150:213])
noise = np.random.default_rng(0).normal(0, 0.005, 63)
prices.loc[query, prices.columns[-63:]] = 20 * np.exp(3 * (past - past.iloc[0]).to_numpy() + noise)

windows = HistoricalAnalogues(window=63, horizon=21, random_state=0).fit(prices)
print(f"{windows.n_windows_} windows of 63 days.")
print(f"The last 63 days of {query} repeat those of {source} until {past.index[-1]:%Y-%m-%d}.")

answer = windows.analogues(query, 8)
print(f"\nAnalogues of the last 63 days of {query}, with the returns after them:")
print(answer.table.to_string(index=False, float_format="{:.3f}".format))
print("\nComparison with all stocks on the same dates, and with all windows:")
print(answer.summary.to_string(float_format="{:.3f}".format))

recall = windows.recall(8, as_of=prices.columns[-1], n_samples=60)
print(f"\nOf the true analogues {recall.recall:.1%} are found (standard error {recall.error:.1%}).")

AnaloguesDisplay.from_answer(answer).figure_.savefig("analogues.png", dpi=150)
