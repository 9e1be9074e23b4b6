r"""The computations: pure functions of arrays, without estimators, names or files.

`kshape` and `index` import `sbd`; `matching` imports none of them. Modules import only those below them::

    kshape/   sketch        mini-batches: the summary of earlier members
                |
              run           one run as a chain of states; the best of several runs; snapshot: states as arrays
                |   \
              seeding |     first centers: k-shape++, random rows
                |   extraction    center of a cluster: leading singular vector of its aligned members
              assignment    nearest centers, from step to step

    index/    universe      neighbors of a series among all series, without cells
                |
              shape_space, vector_space, set_space    rows and centers under SBD, Euclid and Jaccard
                |
              search        candidate lists of a query, bounds, and exact values for the rows that are left
                |
              inverted_lists, collect                 rows in the order of their cells; the best rows so far

    sbd/      bounds, lowpass   bounds that rule out most pairs without a transform
                |
              correlation   float32 screening, the exact best shift of every pair, ties
                |
              shapes        unit rows and spectra: kept as memory allows, or computed again by block
                |
              normalize     z-normalized and unit rows, and which rows are flat
                |
              blocks        cuts rows into blocks and runs them on threads
              alignment, overlap    shifted members; correlation where both series were observed

    matching/ pairs         all pairs of portfolios that match, by prefix filtering
                |
              search        one portfolio against all
                |
              distinct      identical portfolios grouped
                |
              criterion     when two portfolios match

Arrays of series have shape (n_series, n_channels, n_timepoints) here: channels come before time, so that the
axis that every loop runs along is contiguous.
"""
