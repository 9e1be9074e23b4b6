"""The inside of the command `shapecluster stocks`: what it finds and writes.

::

    Request --> Settings                             _request     what was typed
    file | Yahoo | simulation --> Inputs             _inputs      prices and sectors
    Inputs --> Cleaned                               _cleaning    what was dropped, filled or flagged
    Cleaned, Settings --> Analysis (Findings)        _analysis    pure functions; _findings holds the data
    Findings --> terminal | JSON | CSV, PNG | HTML   _terminal, _json, _files, _html; _words phrases for all
    files --> folder, whole or not at all            _folder
"""

from __future__ import annotations

# Nothing here is public: what is, is the command and the files that it writes.
__all__: list[str] = []
