"""Run a program without a network but its own loopback; optionally with one door, a Unix socket.

    python isolated.py [--door SOCKET PORT] PROGRAM ARGUMENT ...

Sockets with a name in the file system reach into a network namespace, so whoever knows the door's path can
talk to the program's port, and the program to nobody. Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41


def leave_network() -> None:
    """Move this process into a network namespace of its own; OSError where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _NEWNET if os.geteuid() == 0 else _NEWNET | _NEWUSER
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
        fcntl.ioctl(loopback, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", _UP_AND_RUNNING, b""))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while block := source.recv(1 << 16):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _connect(outside: socket.socket, port: int) -> None:
    with outside, socket.socket() as inside:
        try:
            inside.connect(("127.0.0.1", port))
        except OSError:
            return  # not listening yet: the caller sees a closed connection
        back = threading.Thread(target=_pump, args=(inside, outside))
        back.start()
        _pump(outside, inside)
        back.join()


def _keep_door(path: str, port: int) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        while True:
            outside, _ = door.accept()
            threading.Thread(target=_connect, args=(outside, port), daemon=True).start()


def main(arguments: list[str]) -> None:
    leave_network()
    if arguments[0] != "--door":
        os.execv(arguments[0], arguments)
    path, port, command = arguments[1], int(arguments[2]), arguments[3:]
    program = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    threading.Thread(target=_keep_door, args=(path, port), daemon=True).start()
    sys.exit(program.wait())


if __name__ == "__main__":
    main(sys.argv[1:])
