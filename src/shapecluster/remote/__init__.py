"""Jobs on other machines: create, watch, collect and clean up.

This package moves bytes without interpreting them. Lower layers import nothing from upper ones:

```
_client                                    the facade for other packages
------------------------------------------
_account  _staging  _records               bucket, role and uploaded data
_job  _request  _training  _outcome        a training job, from its settings to its model
_marketplace                               what a listed algorithm takes
_models  _endpoints  _transform            predictions by an endpoint or a batch transform job
_leftovers                                 billable resources that jobs left behind
------------------------------------------
_polling  _concurrency  _logs  _cleanup    waiting, limits, logs, deletion
_atexit  _clock  _names                    the end of the interpreter, time, names
------------------------------------------
_platform                                  the interface of both platforms: calls and storage
  _aws  _sdk  _errors  _scrub                AWS through boto3
  _rehearsal/                                a local folder
_uris                                      URIs of S3
```

`permissions` is independent of these layers: it writes the IAM policies that these calls need.
"""

from shapecluster.remote import permissions
from shapecluster.remote._endpoints import Endpoint
from shapecluster.remote._job import Job
from shapecluster.remote._leftovers import Leftover, clean_up, list_leftovers
from shapecluster.remote._outcome import JobProgress
from shapecluster.remote._rehearsal.platform import Rehearsal

__all__ = [
    "Endpoint",
    "Job",
    "JobProgress",
    "Leftover",
    "Rehearsal",
    "clean_up",
    "list_leftovers",
    "permissions",
]
