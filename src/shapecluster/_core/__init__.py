r"""What is computed: pure functions of arrays, without estimators, names or files.

Each layer uses only those below it::

    kshape               one run of k-Shape as a chain of states; the best of several runs
      |      \      \
    assignment |  seeding    nearest centres, from step to step  |  first centres: k-shape++, random rows
      |        |     |
    bounds     |     |       angles that no pair can be below once centres have moved
      |        |     |
      |   extraction |       the centre of a cluster: leading right singular vector of its aligned members
      |              |
    correlation -----+       spectra, cross-correlation, the best shift of every pair, ties
      |
    normalise                z-normalised and unit rows, and which rows are flat
      |
    blocks                   cuts rows into blocks and runs them on threads

Beside them stands `overlap`: the correlation of two series where both were observed.

Arrays of series have shape (n_series, n_channels, n_timepoints) here: channels before time, so that the
axis that everything runs along is contiguous.
"""
