r"""What is computed: pure functions of arrays, without estimators, names or files.

Each layer uses only those below it::

    kshape          one run of k-Shape as a chain of states; the best of several runs
      |    \
      |   seeding       the first centres: k-shape++, random rows, or given ones
      |      |
    extraction          the centre of a cluster: leading right singular vector of its aligned members
      |      |     overlap      correlation where two series are both observed
      |      |        |
    correlation         spectra, cross-correlation, the best shift of every pair, ties
             |
    normalise           z-normalised and unit rows, and which rows are flat
             |
    blocks              cuts rows into blocks and runs them on threads

Arrays of series have shape (n_series, n_channels, n_timepoints) here: channels before time, so that the
axis that everything runs along is contiguous.
"""
