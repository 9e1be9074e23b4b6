"""The groups of commands, `sagemaker` and `portfolios`, which `shapecluster.cli` adds to its own."""
