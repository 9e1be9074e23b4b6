"""Benchmarks. Most are commands: `python -m benchmarks.NAME` with peers, scaling, accuracy, matching, ..."""
