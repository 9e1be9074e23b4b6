"""The program that stands for a container, and the environment variables that it gets.

The package hands the program over, see `shapecluster._programs`: this module does not depend on it.
"""

from __future__ import annotations

import io
import logging
import os
import site
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shapecluster._programs import ProgramMain, WsgiApp, container_programs

# An allowlist and no blocklist: a secret may have any name.
_ALLOWED = {
    *("PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHASHSEED"),
    # They choose the numerical kernels, on which the last bits of a result depend.
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"),
    "NPY_DISABLE_CPU_FEATURES",
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_THREAD_LIMIT"),
}


def arguments(task: str, root: Path, image: str) -> list[str]:
    """The arguments of the program."""
    return [task, "--root", str(root), "--algorithm", container_programs().algorithm_for(image)]


def plan(
    task: str,
    given: Sequence[str],
    program: Sequence[str] | None,
    folder: Path,
    variables: Mapping[str, str],
    **more: Any,
) -> dict[str, Any]:
    """What a supervisor is to run in a folder: a program or the container's, with these arguments."""
    return {
        "kind": task,
        "command": [*(container_programs().command if program is None else program), *given],
        "environment": environment(folder, variables),
        **more,
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


def load_main() -> ProgramMain:
    """The program as a function, for a rehearsal without processes of its own."""
    return container_programs().load_main()


def load_app(model: Path) -> WsgiApp:
    """The server of a model as a function, for a rehearsal without processes of its own."""
    return container_programs().load_app(model)


def post_to_app(app: WsgiApp, body: bytes, content_type: str, accept: str) -> tuple[int, bytes, str]:
    """Send a request to a WSGI application: status, answer, and its type."""
    started: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/invocations",
        "QUERY_STRING": "",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_ACCEPT": accept,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    answer = b"".join(app(environ, lambda status, headers, *_: started.extend((status, headers))))
    status, headers = started
    media = {name.lower(): value for name, value in headers}.get("content-type", "")
    return int(status.split()[0]), answer, media


def exit_code(run: Callable[[], Any]) -> int:
    """Run a `main` as the interpreter does: its return value, or its exception, becomes an exit code."""
    try:
        answer = run()
    except SystemExit as ended:
        answer = ended.code
    except Exception:
        logging.getLogger("shapecluster.remote").exception("The program of the rehearsal broke")
        return 1
    if answer is None:
        return 0
    return answer if isinstance(answer, int) else 1
