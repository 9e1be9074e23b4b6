"""The program inside a SageMaker training or serving container, and three functions that run it in-process.

```
python -m shapecluster.container train|serve [--root DIR] [--algorithm k-shape|k-means]

main          the whole command line as a function that returns the exit code
load_model    a trained model from its folder or its model.tar.gz
application   a WSGI application that answers requests with such a model
```

The modules:

```
train   _input        hyperparameters and channels     serve   _models     read a model
        _kshape       k-Shape, with _checkpoints               _serving    requests and responses
        _kmeans       K-Means
both    _program      the command line
        _files        where the files of a job are, and how a model is written
        _signals      SIGTERM
        _handover     the program, for rehearsals of jobs
```
"""

from shapecluster.container._models import load_model
from shapecluster.container._program import main
from shapecluster.container._serving import application

__all__ = ["application", "load_model", "main"]
