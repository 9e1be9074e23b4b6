"""Jobs on other machines: how they are set up, watched, and cleaned up after."""

from shapecluster.remote._job import Job
from shapecluster.remote._rehearsal.platform import Rehearsal

__all__ = ["Job", "Rehearsal"]
