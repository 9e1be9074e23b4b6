"""Ask which past windows look like a stock's last months, on a simulated market with a planted repetition."""

import numpy as np

from shapecluster import HistoricalAnalogues
from shapecluster.datasets import make_market
from shapecluster.plotting import AnaloguesDisplay

prices = make_market(n_stocks=60, n_sectors=5, n_days=504, random_state=1).prices
asked, told = prices.index[[0, 30]]

# What `told` did a year ago, `asked` does now: at another level, three times as much, and with some noise.
past = np.log(prices.loc[told].iloc[150:213])
noise = np.random.default_rng(0).normal(0, 0.005, 63)
prices.loc[asked, prices.columns[-63:]] = 20 * np.exp(3 * (past - past.iloc[0]).to_numpy() + noise)

windows = HistoricalAnalogues(window=63, horizon=21, random_state=0).fit(prices)
print(f"{windows.n_windows_} windows of 63 days.")
print(f"{asked} does now what {told} did until {past.index[-1]:%Y-%m-%d}.")

answer = windows.analogues(asked, 8)
print(f"\nWhat looks like the last 63 days of {asked}, and what followed:")
print(answer.table.to_string(index=False, float_format="{:.3f}".format))
print("\nHeld against all stocks on the same dates, and all windows there were:")
print(answer.summary.to_string(float_format="{:.3f}".format))

found = windows.recall(8, as_of=prices.columns[-1], n_samples=60)
print(f"\nOf the true analogues {found.recall:.1%} are found (standard error {found.error:.1%}).")

AnaloguesDisplay.from_answer(answer).figure_.savefig("analogues.png", dpi=150)
