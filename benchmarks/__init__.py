"""Benchmarks. Each is a command: `python -m benchmarks.NAME`; `--help` describes it.

    peers, matching       works that contestants do in turns, by `_works`
    scaling, accuracy, index, analogues, portfolios_clustering, clean_prices, recordio
    page                  writes the tables of docs/guide from the results of the others

`_frame` is the command of all of them, `_arena` times in turns, and `_report` formats tables and checks.
"""
