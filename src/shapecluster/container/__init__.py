"""The program that runs inside a training or serving container, and in a rehearsal of one.

```
python -m shapecluster.container train|serve [--root DIR] [--algorithm k-shape|k-means]

train   _configuration   what the job was told          serve   _models    what an artifact holds
        _channels        its data, as matrices                  _serving   requests and answers
        _kshape          k-Shape, with _checkpoints
        _kmeans          K-Means
        _training        which of them, and why it failed
```

`_paths` knows the folders, `_artifacts` the files of a model, `_files` writes them at once or not at all, and
`_signals` says what SIGTERM does. Nothing here is for import by others but `__main__.main`,
`_models.load_model` and `_serving.respond`, which run the same program without a process of its own.
"""

__all__: list[str] = []
