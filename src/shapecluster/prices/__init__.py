"""Daily prices: read from files, downloaded from Yahoo, and cleaned.

```
_load      load_prices, load_sectors     _frames   a day a line becomes a stock a row
_fetch     fetch_prices                  _retry    rounds of downloads until a deadline
                                         _yahoo    one download, and what went wrong
                                         _cache    what was downloaded before
_clean     clean_prices                  _suspects prices that look wrong
                                         _cleaning_report
```
"""

from __future__ import annotations

from shapecluster.prices._clean import clean_prices
from shapecluster.prices._fetch import fetch_prices
from shapecluster.prices._load import load_prices, load_sectors

__all__ = ["clean_prices", "fetch_prices", "load_prices", "load_sectors"]
