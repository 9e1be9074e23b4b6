"""Clusterers whose `fit` is a training job on Amazon SageMaker, or a rehearsal of one.

```
_kshape    SageMakerKShape                        _algorithm   which parameters a job gets
_kmeans    SageMakerKMeans                        _builtin     image and metrics of K-Means
_serving   endpoints, batch transform             _files       rows as files, and back
_base      create a job, wait, read; find again   _copies      sessions in clones and pickles
_sweep     several jobs in parallel
```

The estimators translate parameters and data, and read results back. `shapecluster.remote` creates
and watches the jobs. The estimators use its facade `_client`.
"""

from shapecluster.sagemaker._kmeans import SageMakerKMeans
from shapecluster.sagemaker._kshape import SageMakerKShape

__all__ = ["SageMakerKMeans", "SageMakerKShape"]
