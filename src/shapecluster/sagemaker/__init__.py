"""Clusterers whose fit is a training job: here the estimators, in `shapecluster.remote` how jobs live.

```
_kshape    SageMakerKShape                  _algorithm   which of its parameters a job gets
_kmeans    SageMakerKMeans                  _images      where its image is
_base      waiting, attaching, stopping     _files       rows as files, and back
_serving   endpoints, batch transform       _copies      sessions in clones and pickles
_sweep     many jobs, side by side
```
"""

from shapecluster.sagemaker._kmeans import SageMakerKMeans
from shapecluster.sagemaker._kshape import SageMakerKShape

__all__ = ["SageMakerKMeans", "SageMakerKShape"]
