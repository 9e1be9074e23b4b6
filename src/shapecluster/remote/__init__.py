"""Jobs on other machines: create, watch, collect and clean up.

This package moves bytes without interpreting them. Lower layers import nothing from upper ones:

```
_client                                    the facade for other packages; bucket and role of a job
------------------------------------------
_staging                                   uploaded data
_job  _request  _training  _outcome        a training job, from its settings to its model
_marketplace                               what a listed algorithm takes
_resources  _endpoints  _transform         predictions by an endpoint or a batch transform job
_leftovers                                 billable resources that jobs left behind
------------------------------------------
_polling  _retries                         JobClient: repeated calls, polling and the clock
_process  _logs                            limits and the end of the process, logs
------------------------------------------
_platform                                  the interface of both platforms: calls and storage
  _aws  _sdk  _errors  _scrub                AWS through boto3
  _rehearsal/                                a local folder
_names                                     names and S3 URIs
```

`permissions` writes the IAM policies that these calls need. Of these layers it knows only the names of
actions in `_errors`.
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
