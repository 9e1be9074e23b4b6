"""Commands that measure, each run as `python -m benchmarks.NAME`: peers, scaling, accuracy, page."""
