"""Clusterers whose fit is a training job: here the estimators, in `shapecluster.remote` how jobs live.

```
_kshape    SageMakerKShape                  _algorithm   which of its parameters a job gets
_kmeans    SageMakerKMeans                  _images      where its image is
_base      sessions, waiting, attaching     _files       rows as files, and back
```
"""

from shapecluster.cluster._sagemaker._kmeans import SageMakerKMeans
from shapecluster.cluster._sagemaker._kshape import SageMakerKShape

__all__ = ["SageMakerKMeans", "SageMakerKShape"]
