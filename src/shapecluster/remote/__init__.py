"""Jobs on other machines: how they are set up, watched, and cleaned up after.

Bytes are moved here, and nothing is known of what they mean.

```
                 _staging  _records          data on its way, and who reads it
_job  _request   _training  _outcome         a training job, from its request to its model
                 _marketplace                what an algorithm takes, before it is billed
                 _models  _endpoints         predictions from a server ...
                 _transform                  ... or for all rows at once
                 _leftovers                  what is still there and costs money
      ------------------------------------
      _polling  _slots  _logs  _cleanup      waiting, limits, news, undoing
      _watched                               what is waited for when the interpreter ends
      ------------------------------------
      _platform                              the seam: calls and storage
        _aws  _sdk  _errors  _scrub            boto3, and the SageMaker SDK where there is one
        _rehearsal/                            a folder of this machine
```
"""

from shapecluster.remote._endpoints import Endpoint
from shapecluster.remote._job import Job
from shapecluster.remote._leftovers import Leftover, clean_up, list_leftovers
from shapecluster.remote._outcome import JobProgress
from shapecluster.remote._rehearsal.platform import Rehearsal

__all__ = ["Endpoint", "Job", "JobProgress", "Leftover", "Rehearsal", "clean_up", "list_leftovers"]
