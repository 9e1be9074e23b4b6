"""File formats, hyperparameters, and the bodies of requests and responses.

All data from outside is compared with a limit before it is read. Damaged, truncated or unknown data raises an
`ArtifactError` that says where the problem is and what to do. Nothing is ever unpickled or extracted.

```
rows of numbers   recordio          RecordIO-protobuf, for the built-in algorithms
                  csv_rows          CSV, with or without names
models            archive           model.tar.gz
                    centroids         its text file of a K-Shape model
                    ndarray           its NDArray list of a built-in K-Means model
jobs              hyperparameters   parameters as strings, and back
indexes           arrays            one checksummed file of named arrays
endpoints         bodies            series and clusters, as CSV, JSON, JSON Lines or RecordIO
parts of these    _records, _streams, _parsers
```

`read_` and `write_` work on files in chunks; `decode_` and `encode_` work on bytes in memory.
"""

from shapecluster.formats.archive import Member, read_member
from shapecluster.formats.arrays import ArrayFile, read_arrays, write_arrays
from shapecluster.formats.bodies import (
    Predictions,
    decode_predictions,
    decode_rows,
    encode_predictions,
    encode_rows,
    media_type,
)
from shapecluster.formats.centroids import CentroidReport, decode_centroids, encode_centroids
from shapecluster.formats.csv_rows import NamedRows, read_csv, write_csv
from shapecluster.formats.hyperparameters import decode_hyperparameters, encode_hyperparameters
from shapecluster.formats.ndarray import ArrayList, decode_ndarrays, encode_ndarrays
from shapecluster.formats.recordio import RecordBlock, read_recordio, write_recordio

__all__ = [
    "ArrayFile",
    "ArrayList",
    "CentroidReport",
    "Member",
    "NamedRows",
    "Predictions",
    "RecordBlock",
    "decode_centroids",
    "decode_hyperparameters",
    "decode_ndarrays",
    "decode_predictions",
    "decode_rows",
    "encode_centroids",
    "encode_hyperparameters",
    "encode_ndarrays",
    "encode_predictions",
    "encode_rows",
    "media_type",
    "read_arrays",
    "read_csv",
    "read_member",
    "read_recordio",
    "write_arrays",
    "write_csv",
    "write_recordio",
]
