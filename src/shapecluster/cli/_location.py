"""The place where jobs run: the folder of a rehearsal, or AWS."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path
from typing import Any

from shapecluster.cli import _kinds as kinds
from shapecluster.cli._options import offered, option, options

bucket = partial(option, None, "Bucket for data and model; sagemaker-REGION-ACCOUNT if left out.", "Job")
prefix = partial(option, "shapecluster", "Folder in the bucket.", "Job", kinds.Kind("FOLDER", str))
folder = partial(option, help="Folder of a rehearsal.", panel="Where", kind=kinds.FOLDER)

# Methods that messages of the library recommend, which users of the command cannot call.
_ATTACH_CALL = re.compile(r"attach\('([\w-]+)', session=\.\.\.\)")
_STOP_CALL = re.compile(r"\bstop\(\)")
# Other advice of the library that is about Python, and what it means for the command.
_PHRASES = {
    r"session=boto3\.Session\(region_name=[^)]*\)": "--region",
    r"session=boto3\.Session\([^)]*\)": "--profile",
    r"session=Rehearsal\(folder\)": "`shapecluster sagemaker rehearse`",
    r"pass a session that is made after that": "run the command again",
    r", or with less at a time: Job\(max_parallel_jobs=\.\.\.\), a longer poll_interval": "",
    r", max_parallel_jobs=\.\.\.": "",
    r"max_wait_seconds allows: raise it": "twice --max-run: raise it",
    r"fit again, with Job\(checkpoint=[^)]*\) to go on where it was": "run it again",
    r"(?<=or )(without|leave) spot": r"\1 --spot",
    r"Call result\(\) again": "Attach to it again",
}


@options
class Location:
    """The options for the place where jobs run: the folder of a rehearsal, or AWS."""

    folder: Path | None = folder(None, help="Folder of a rehearsal (AWS if left out).")
    region: str | None = option(None, "Region; the environment's if left out.", "Where")
    profile: str | None = option(None, "Profile of ~/.aws; the environment's if left out.", "Where")

    def session(self) -> Any:
        """Return the value of the parameter `session` of estimators."""
        from shapecluster.remote import Rehearsal
        from shapecluster.remote._client import new_session

        if self.folder is not None:
            if self.region is not None or self.profile is not None:
                raise ValueError("--folder is for a rehearsal, which has no --region and no --profile.")
            return Rehearsal(self.folder)
        if self.region is None and self.profile is None:
            return None
        return new_session(self.region, self.profile)

    def command(self, name: str, job_name: str) -> str:
        """Return a command line for a job at this location, quoted for a shell."""
        options = {"--folder": self.folder, "--region": self.region, "--profile": self.profile}
        given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
        return shlex.join(["shapecluster", "sagemaker", name, job_name, *given])

    def replace_calls(self, text: str) -> str:
        """Replace calls and sessions in a message of the library by commands and options."""
        names = [name for name, declared, _ in offered(self) if declared.panel == "Where"]
        text = re.sub(r"\bthe session\b(?!'s)", ", ".join(names), text)
        for phrase, replacement in _PHRASES.items():
            text = re.sub(phrase, replacement, text)
        call = _ATTACH_CALL.search(text)
        if call is None:
            return text
        text = text.replace(call[0], f"`{self.command('attach', call[1])}`")
        # A function, because backslashes in a folder's name would be read as a template.
        return _STOP_CALL.sub(lambda _: f"`{self.command('stop', call[1])}`", text)
