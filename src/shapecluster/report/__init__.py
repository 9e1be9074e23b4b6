"""The work behind the command `shapecluster stocks`: read, clean, analyze and write.

::

    file | Yahoo | simulation --> PriceInputs        _inputs      prices and sectors, and their cleaning
    prices, settings --> Analysis (StocksFindings)   _analysis    pure functions; _findings holds the data
    findings --> sentences, tables                   _text, _tables   what all readers share
    findings --> terminal | JSON | CSV, PNG | HTML   _terminal, _json, _files, _html
    files --> folder, all or none                    _folder
"""

from __future__ import annotations

# All names here are private. Public are the command and its files.
__all__: list[str] = []
