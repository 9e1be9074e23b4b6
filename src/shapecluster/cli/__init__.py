"""The command `shapecluster`.

::

    _app                 main and build_app: from the options of each run to a parser
    _stocks              `stocks`
    _portfolios          `portfolios`: generated traders; _portfolio_output has its text and tables
    _jobs, _leftovers    `sagemaker`: training jobs; what jobs leave behind
    _location            the place of a job: AWS, or the folder of a rehearsal
    _common              errors, messages and tables of all commands
    _options, _kinds     how options are declared and read; what they take

All modules are imported for `--help`, so they import nothing scientific: each run imports what it needs when
it is called.
"""

from __future__ import annotations

from shapecluster.cli._app import build_app, main

__all__ = ["build_app", "main"]
