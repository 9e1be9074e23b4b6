"""The commands `shapecluster sagemaker ...`, which `shapecluster.cli` adds to its own."""
