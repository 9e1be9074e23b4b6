"""Atomic writes: whole or as before, nothing left behind, and no file of a live writer removed."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from shapecluster import _files
from shapecluster._files import atomic_write, move, new_name, sweep, temporary_folder

POSIX = pytest.mark.skipif(os.name != "posix", reason="locks and permissions are those of POSIX")
OTHER_BOOT = ".shapecluster-ffffffff-0123456789abcdef.csv"


def write(path: Path | str, data: bytes, **options: Path) -> None:
    with atomic_write(path, **options) as file:
        file.write(data)


def age(path: Path, hours: float) -> None:
    moment = time.time() - 3600 * hours
    os.utime(path, (moment, moment))


def test_a_file_is_created_and_replaced(tmp_path):
    for data in (b"old and long", b"new"):
        write(tmp_path / "file.csv", data)
        assert (tmp_path / "file.csv").read_bytes() == data
    assert os.listdir(tmp_path) == ["file.csv"]


def test_until_the_end_the_old_content_stays(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert Path(file.name).parent == tmp_path
        assert Path(file.name).suffix == ".csv"
    assert path.read_bytes() == b"new"


def test_a_writer_may_take_the_name(tmp_path):
    with atomic_write(tmp_path / "file.txt") as file:
        Path(file.name).write_bytes(b"by name")
    assert (tmp_path / "file.txt").read_bytes() == b"by name"


def test_names_need_no_room_for_more(tmp_path):
    for name in ("n" * 255, "n" * 200 + "." + "s" * 54, "no suffix", ".hidden", "a.b c"):
        write(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("file", b"content")
    assert os.listdir() == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_changes_nothing(tmp_path, error, before):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        write_half()
    assert os.listdir(tmp_path) == ([] if before is None else ["file"])
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("call", ["os.fsync", "os.replace"])
def test_a_failing_call_changes_nothing(tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(call, fail)
    with pytest.raises(OSError, match="Input/output error"):
        write(path, b"new")
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("n_bytes", [10, 10_000_000])  # the first is written when the file is flushed
def test_a_full_disk_changes_nothing(tmp_path, n_bytes):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_to_full_disk() -> None:
        with atomic_write(path) as file, open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), file.fileno())
            file.write(bytes(n_bytes))

    with pytest.raises(OSError, match="No space left") as caught:
        write_to_full_disk()
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="Windows makes no links without a privilege")
def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/file")
    for data in (b"the target was missing", b"new"):
        write(tmp_path / "link", data)
        assert (tmp_path / "far" / "file").read_bytes() == data
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "far") == ["file"]


@POSIX
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_a_plain_open(tmp_path, umask):
    old = os.umask(umask)
    try:
        for name in ("plain", "atomic"):
            (tmp_path / f"old {name}").touch()
            (tmp_path / f"old {name}").chmod(0o640)
        for name in ("plain", "old plain"):
            with open(tmp_path / name, "wb") as file:
                file.write(b"new")
        for name in ("atomic", "old atomic"):
            write(tmp_path / name, b"new")
    finally:
        os.umask(old)
    for before in ("", "old "):
        modes = [stat.S_IMODE((tmp_path / f"{before}{name}").stat().st_mode) for name in ("plain", "atomic")]
        assert modes[0] == modes[1]


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=r"Is a directory: '.*folder'"):
        write(tmp_path / "folder", b"new")
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


@POSIX
def test_a_device_is_not_replaced():
    with pytest.raises(OSError, match=r"Not a regular file: '/dev/null'"):
        write("/dev/null", b"new")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_missing_folder_is_named_with_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*absent.file'"):
        write(tmp_path / "absent" / "file", b"new")


def test_a_folder_that_takes_no_files_is_named_with_the_file(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    # root may write anywhere, so the system cannot refuse
    monkeypatch.setattr(_files, "_create", refuse)
    with pytest.raises(PermissionError) as caught:
        write(tmp_path / "file", b"new")
    assert str(caught.value) == f"[Errno 13] Permission denied: {str(tmp_path / 'file')!r}"


def test_a_stage_elsewhere(tmp_path):
    with atomic_write(tmp_path / "new" / "file", stage=tmp_path) as file:
        assert Path(file.name).parent == tmp_path
        file.write(b"content")
        (tmp_path / "new").mkdir()
    assert (tmp_path / "new" / "file").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["new"]


def test_move_replaces(tmp_path):
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["b"]


# ---------------------------------------------------------------------------------------------- the sweep

KILLED = """
import sys
from pathlib import Path
from shapecluster._files import atomic_write, temporary_folder
target = Path(sys.argv[1])
with temporary_folder(target.parent) as folder, atomic_write(target) as file:
    (folder / "inside").write_bytes(b"half")
    file.write(bytes(1_000_000))
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def start_writer(target: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"writing"
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@POSIX
def test_ten_killed_writers_leave_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for _ in range(10):
        kill(start_writer(path))
        # Each writer removes what the one before it left: a folder and a file.
        assert len(os.listdir(tmp_path)) == 3
        assert path.read_bytes() == b"old"
    write(tmp_path / "another", b"new")
    assert sorted(os.listdir(tmp_path)) == ["another", "file"]


@POSIX
def test_files_of_a_live_process_stay(tmp_path):
    path = tmp_path / "file"
    live = start_writer(path)
    kill(start_writer(path))
    write(tmp_path / "another", b"new")
    assert len(os.listdir(tmp_path)) == 3
    live.communicate(b"")
    assert live.returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["another", "file"]
    assert path.stat().st_size == 1_000_000


@POSIX
def test_files_of_this_process_stay(tmp_path):
    with temporary_folder(tmp_path) as folder, atomic_write(tmp_path / "one") as one:
        one.write(b"1")
        with atomic_write(tmp_path / "two") as two:
            two.write(b"2")
        assert folder.is_dir()
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


@POSIX
def test_files_of_another_boot_stay_for_a_day(tmp_path):
    path = tmp_path / OTHER_BOOT
    path.write_text("half")
    for hours, stays in ((23, True), (25, False)):
        age(path, hours)
        sweep(tmp_path)
        assert path.exists() is stays


@POSIX
def test_a_locked_file_of_another_boot_stays(tmp_path):
    import fcntl

    path = tmp_path / OTHER_BOOT
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        age(path, 1000)
        sweep(tmp_path)
        assert path.exists()


def test_other_files_stay(tmp_path):
    names = [".shapecluster-", ".shapecluster-notes", ".shapecluster-0123-abc", f"x{new_name()}", ".file"]
    names += [new_name(".a b"), new_name()[:-1], ".partial-abc"]
    for name in names:
        (tmp_path / name).write_text("mine")
        age(tmp_path / name, 1000)
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    sweep(tmp_path / "absent")


@pytest.mark.skipif(os.name == "nt", reason="Windows makes no links without a privilege")
def test_links_are_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    for target in ("mine", "mine/file", "absent"):
        (tmp_path / new_name()).symlink_to(target)
    write(tmp_path / "new", b"new")
    assert os.listdir(tmp_path / "mine") == ["file"]


def test_nothing_is_removed_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "_lock", lambda *_, **__: None)
    name = new_name()
    (tmp_path / name).write_text("perhaps of a live writer")
    with temporary_folder(tmp_path):
        write(tmp_path / "file", b"new")
    assert sorted(os.listdir(tmp_path)) == [name, "file"]


@POSIX
def test_a_sweep_between_creation_and_lock_costs_no_file(tmp_path, monkeypatch):
    """Each new file or folder is swept before its writer can lock it; the second attempt is let through."""
    lock, n_swept = _files._lock, 0

    def swept_first(descriptor, **options):
        nonlocal n_swept
        if n_swept < 1:
            n_swept += 1
            sweep(tmp_path)
        return lock(descriptor, **options)

    monkeypatch.setattr(_files, "_lock", swept_first)
    write(tmp_path / "file", b"new")
    assert n_swept == 1
    n_swept = 0
    with temporary_folder(tmp_path) as folder:
        assert n_swept == 1
        (folder / "inside").touch()
    assert os.listdir(tmp_path) == ["file"]


def test_threads_that_write_and_sweep_lose_nothing(tmp_path):
    stop = threading.Event()

    def sweep_all_the_time() -> None:
        while not stop.is_set():
            sweep(tmp_path)

    def write_many(writer: int) -> None:
        for i in range(30):
            write(tmp_path / f"own-{writer}", b"%d %d" % (writer, i) * 1000)
            write(tmp_path / "shared", bytes([writer]) * 100_000)
            with temporary_folder(tmp_path) as folder:
                (folder / "inside").write_text("content")

    with ThreadPoolExecutor(6) as pool:
        sweepers = [pool.submit(sweep_all_the_time) for _ in range(2)]
        writers = [pool.submit(write_many, writer) for writer in range(4)]
        try:
            for future in writers:
                future.result()
        finally:
            stop.set()
        for future in sweepers:
            future.result()
    assert sorted(os.listdir(tmp_path)) == [*(f"own-{writer}" for writer in range(4)), "shared"]
    content = (tmp_path / "shared").read_bytes()
    assert len(content) == 100_000
    assert len(set(content)) == 1


@POSIX
def test_processes_that_write_one_file_lose_nothing(tmp_path):
    code = (
        "import sys\nfrom shapecluster._files import atomic_write\nfor _ in range(50):\n"
        "    with atomic_write(sys.argv[1]) as file:\n        file.write(sys.argv[2].encode() * 100_000)\n"
    )
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        with suppress(FileNotFoundError):
            content = path.read_bytes()
            seen.add((len(content), len(set(content))))
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen <= {(100_000, 1)}
    assert os.listdir(tmp_path) == ["file"]


def test_a_temporary_folder_is_removed_after_any_error(tmp_path):
    with suppress(KeyboardInterrupt), temporary_folder(tmp_path) as folder:
        (folder / "inside").touch()
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
