"""The program that stands for a container, its environment variables, and the supervisor that runs it.

The package hands the program over, see `shapecluster._programs`: this module does not depend on it.
"""

from __future__ import annotations

import io
import json
import logging
import os
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from shapecluster._programs import WsgiApp, container_programs
from shapecluster.remote._rehearsal import supervisor
from shapecluster.remote._rehearsal.supervisor import write_json

# An allowlist and no blocklist: a secret may have any name.
_ALLOWED = {
    *("PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHASHSEED"),
    # They choose the numerical kernels, on which the last bits of a result depend.
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"),
    "NPY_DISABLE_CPU_FEATURES",
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_THREAD_LIMIT"),
}


def plan(
    task: str, image: str, program: Sequence[str] | None, folder: Path, variables: Mapping[str, str]
) -> dict[str, Any]:
    """What a supervisor is to run in a folder: a program or the container's, with its arguments."""
    algorithm = container_programs().algorithm_for(image)
    return {
        "kind": task,
        "program": list(container_programs().command if program is None else program),
        "arguments": [task, "--root", str(folder / "root"), "--algorithm", algorithm],
        "environment": environment(folder, variables),
    }


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The variables that a program starts with."""
    allowed = {k: v for k, v in os.environ.items() if k in _ALLOWED or k.startswith("LC_")}
    allowed |= {"HOME": str(home), "PYTHONUNBUFFERED": "1", "PYTHONUSERBASE": site.getuserbase()}
    if paths := _python_path():
        allowed["PYTHONPATH"] = os.pathsep.join(paths)
    return allowed | dict(extra)


def _python_path() -> list[str]:
    """PYTHONPATH with absolute entries, and the folder of this package unless it is installed."""
    given = os.environ.get("PYTHONPATH", "")
    paths = [str(Path(p).absolute()) for p in given.split(os.pathsep) if p]
    here = str(Path(__file__).resolve().parents[3])
    installed = {str(Path(sysconfig.get_paths()[kind]).resolve()) for kind in ("purelib", "platlib")}
    if here not in installed | set(paths):
        paths.append(here)
    return paths


def post_to_app(app: WsgiApp, body: bytes, content_type: str, accept: str) -> tuple[int, bytes, str]:
    """Send a request to a WSGI application: status, answer, and its type."""
    started: list[Any] = []
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/invocations",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_ACCEPT": accept,
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    answer = b"".join(app(environ, lambda status, headers, *_: started.extend((status, headers))))
    status, headers = started
    media = {name.lower(): value for name, value in headers}.get("content-type", "")
    return int(status.split()[0]), answer, media


def exit_code(main: Callable[[list[str]], Any], arguments: list[str]) -> int:
    """Run a `main` as the interpreter does: its return value, or its exception, becomes an exit code."""
    try:
        answer = main(arguments)
    except SystemExit as ended:
        answer = ended.code
    except Exception:
        logging.getLogger("shapecluster.remote").exception("The program of the rehearsal broke")
        return 1
    if answer is None:
        return 0
    return answer if isinstance(answer, int) else 1


def start_supervisor(folder: Path, plan: dict[str, Any], announce: Callable[[], None] | None = None) -> None:
    """Start a supervisor in a folder; it outlives this process.

    `announce` makes the job visible to other processes. From then on they find the supervisor alive.
    """
    write_json(folder / "plan.json", plan)
    with locked(folder) as lock:
        # The lock belongs to the open file, which the supervisor inherits: it is never unlocked in between.
        if announce is not None:
            announce()
        subprocess.run(
            [sys.executable, "-I", supervisor.__file__, str(folder), str(lock)],
            pass_fds=(lock,),
            env=environment(folder, {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def is_alive(folder: Path) -> bool:
    """Whether the supervisor of a folder is alive: it holds the lock for as long."""
    import fcntl

    try:
        with (folder / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the lock of a folder, as its supervisor does; yields the number of the open file."""
    import fcntl

    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def request_stop(folder: Path) -> None:
    """Ask the program in a folder to end."""
    (folder / "stop").touch()


def stop_requested(folder: Path) -> bool:
    """Whether the program in a folder was asked to end."""
    return (folder / "stop").exists()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Events of a log: time in milliseconds, and message."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    # Text after the last line end is still being written.
    return [json.loads(line) for line in lines[:-1]]
