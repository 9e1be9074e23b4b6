r"""What is computed: pure functions of arrays, without estimators, names or files.

Each layer uses only those below it::

    sketch                   k-Shape in mini-batches: what a center remembers of its members
      |
    kshape                   one run of k-Shape as a chain of states; the best of several runs
      |   |
      | seeding    neighbors    first centers: k-shape++, random rows  |  the nearest series of a universe
      |   |           |
      | assignment    |          nearest centers, from step to step
      |      |        |
      |     bounds ---+          angles that no pair can be below, so that most need no transform
      |       |
    extraction |                 the center of a cluster: leading right singular vector of its aligned members
      |    correlation           screening in float32, the exact best shift of every pair, ties
      |      |
      |    shapes                unit rows and spectra: kept as memory allows, or made again by block
      |      |
    normalize                    z-normalized and unit rows, and which rows are flat
      |
    blocks                       cuts rows into blocks and runs them on threads

Beside these, an inverted file::

    inverted                 search: cells near a query, bounds, and exact values for what is left
      |   |   |
      |  cells  collect      the order in which rows are stored  |  the nearest rows so far
      |
    shape_space    vector_space    set_space      rows and centers under SBD, Euclid and Jaccard
      |
    lowpass                  bounds of correlations by matrix products; stands on shapes

Beside all stand `overlap`, the correlation of two series where both were observed, and `snapshot`, how far
a fit has come as plain arrays.

Portfolios, rows of what traders hold, have two layers of their own: `holding_pairs`, all pairs that match, on
top of `holdings`: when two match, identical ones put together, and the search for one.

Arrays of series have shape (n_series, n_channels, n_timepoints) here: channels before time, so that the
axis that everything runs along is contiguous.
"""
