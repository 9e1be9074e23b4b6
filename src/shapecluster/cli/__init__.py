"""The command `shapecluster`: it parses, calls and prints; what it says is found in `shapecluster.report`.

```
_app                        main, and `stocks`
_sagemaker_options  _jobs   training jobs: options, and what they do
                _leftovers  what still costs money
_portfolio_options          generated traders: options,
_portfolios                 what they do,
_portfolio_words            and what is printed
_common                     errors, files and messages of all commands
```
"""

from __future__ import annotations

from shapecluster.cli._app import build_app, main

__all__ = ["build_app", "main"]
