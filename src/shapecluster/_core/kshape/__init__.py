"""The clustering: first centers, assignment, shape extraction, one run, and mini-batches."""
