"""The command `shapecluster`.

::

    _app                                       main and build_app
    _stocks_options     _stocks                `stocks`: its options, and its run
    _sagemaker_options  _jobs, _leftovers      `sagemaker`: training jobs; what jobs leave behind
    _portfolio_options  _portfolios            `portfolios`: generated traders
                        _portfolio_output      text and tables of `portfolios`
    _common                                    errors, messages and files of all commands

Modules of options are imported for `--help`, so they import nothing scientific. Each command imports its run
when it is called.
"""

from __future__ import annotations

from shapecluster.cli._app import build_app, main

__all__ = ["build_app", "main"]
