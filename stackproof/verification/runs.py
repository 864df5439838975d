"""Run directories: where the record of a run is kept, ``.stackproof/runs/<id>`` unless the user says otherwise."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from stackproof.interfaces import ConfigurationError
from stackproof.kept_json import read

RUNS = Path(".stackproof") / "runs"
RECORD = "run.json"
RECORDS = frozenset({RECORD, "certificate.json", "audit.json", "plan.json", "tax.json", "yardsticks.json"})
"""What the records of all kinds of runs are called."""
LOCK = "run.lock"
"""Made when a run begins, with its id in it."""

USE_OUT = "; use --out DIR"
_NO_PLACE = "the run cannot be kept in {}: {}" + USE_OUT
_MISTYPED = (errno.ENOTDIR, errno.ELOOP)
"""Errors of a name that can be no directory anywhere; with any other, the system does not let us write there."""

LEAST_ROOM = 1 << 20
"""Bytes that must be free where a run begins: its record, its page and its logs are smaller, if it is no long one."""


class StorageError(Exception):
    """A run cannot be kept; the message is one sentence."""


class NoRecordError(Exception):
    """There is a directory, and no record of a run in it; the message is one sentence."""


class DamagedRecordError(Exception):
    """A record that is kept, and must not be used: cut off, changed, or of another version; the message is one sentence."""


def new_run_id() -> str:
    """A name that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def open_run(out: Path | None, run_id: str) -> Path:
    """Make the directory of a run.

    Where what was typed names none it is a `ConfigurationError`; where the system does not let us write there, since the disk is
    full or read-only, or is somebody else's, a `StorageError`.
    """
    path = check_place(out, run_id)
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Exclusively: of two runs into the same directory, one is refused. Whoever goes on with it finds its id there.
        with (path / LOCK).open("x", encoding="utf-8") as lock:
            lock.write(f"{run_id}\n")
        if out is None:
            (RUNS.parent / ".gitignore").write_text("*\n", encoding="utf-8")  # records, not source
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        kind = ConfigurationError if error.errno in _MISTYPED else StorageError
        raise kind(_NO_PLACE.format(path, error.strerror)) from error
    return path


def records_in(directory: Path) -> list[str]:
    """The names of the records that a directory holds, in order."""
    return sorted(name for name in RECORDS if (directory / name).is_file())


def check_place(out: Path | None, run_id: str) -> Path:
    """Where `open_run` will make the directory of a run; its errors, as far as they can be told before anything is made."""
    path = out if out is not None else RUNS / run_id
    if path.exists() and not path.is_dir():
        raise ConfigurationError(f"--out {path} is a file; a run needs a directory")
    if (path / LOCK).exists():
        raise _taken(path)
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    if not os.access(there, os.W_OK | os.X_OK):
        read_only = os.statvfs(there).f_flag & os.ST_RDONLY
        raise StorageError(_NO_PLACE.format(path, os.strerror(errno.EROFS if read_only else errno.EACCES)))
    _check_room(path, there)
    return path


def _taken(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} holds a run already, and is not overwritten; give --out another directory")


def new_run_in(runs: Path, run_id: str) -> Path:
    """Make the directory of a run among others, where those are not in the usual place; errors as of `open_run`."""
    return open_run(None if runs == RUNS else runs / run_id, run_id)


def forget_run(directory: Path) -> None:
    """Remove the directory of a run that came to nothing; one in which something was kept stays."""
    if [path.name for path in directory.iterdir()] == [LOCK]:
        shutil.rmtree(directory)


def reopen_run(run: str, *, kept: str) -> Path:
    """The directory of a run that was cut short, to go on with it: ``kept`` is the file that it goes on from."""
    path = find_run(run)
    if not (path / kept).exists():
        raise ConfigurationError(f"{path} holds no {kept} to go on from: it is complete, or of another kind")
    return path


def id_of(directory: Path) -> str:
    """The id of a run that is gone on with: that of its record, else the one with which it began, else a new one.

    Never the name of its directory: that is the user's, and two runs may well have the same.
    """
    try:
        record = read((directory / RECORD).read_text(encoding="utf-8"), numbers_only=False)
    except (OSError, ValueError):
        record = None  # it was killed before it had one, or while it was written: it gets a new one in any case
    told = record.get("id") if isinstance(record, dict) else None
    if isinstance(told, str) and told:
        return told
    with contextlib.suppress(OSError, ValueError):
        if begun := (directory / LOCK).read_text(encoding="utf-8").strip():
            return begun
    return new_run_id()


def _check_room(path: Path, there: Path) -> None:
    """Tell now that a record will find no room, not after the work."""
    try:
        room = shutil.disk_usage(there)
    except OSError:
        return  # writing will tell
    if room.total and room.free < LEAST_ROOM:  # what is no disk has no size, and writing will tell
        raise StorageError(
            f"a run needs {LEAST_ROOM // 1024} kB, and {room.free // 1024} kB are free where {path} is{USE_OUT}"
        )


def keep_run(directory: Path, files: Mapping[str, Callable[[], str]]) -> tuple[str, ...]:
    """Write the files of a run (name -> what makes its text), the most important first, each though another cannot be written.

    What finds no place where it belongs is kept among the temporary files of the system, if there is room. Returns a sentence for
    each of those, which says where it is now; nothing where all is well.
    """
    troubles, instead = [], None
    for name, make in files.items():
        text = make()
        try:
            keep(directory / name, text)
        except StorageError as error:
            instead, where = _kept_instead(instead, name, text)
            troubles.append(f"{error}; {where}")
    return tuple(troubles)


def _kept_instead(instead: Path | None, name: str, text: str) -> tuple[Path | None, str]:
    """A directory for what has no place in its own, made when it is first needed; and where the file is, in words."""
    try:
        instead = instead or Path(tempfile.mkdtemp(prefix="stackproof-run-"))
        keep(instead / name, text)
    except (StorageError, OSError):
        return instead, f"it was not kept, for nothing can be written to {tempfile.gettempdir()} either"
    return instead, f"it is kept as {instead / name}"


def keep(path: Path, text: str) -> None:
    """Write a text as a file, whole or not at all, as `keep_bytes` does."""
    keep_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def append(path: Path, text: str) -> None:
    """Add a text, a section of its own, at the end of a file that others add to as well; `StorageError` where that fails."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            # Whatever was written before ends here: a section begins after an empty line.
            file.write(f"\n{text}" if file.seekable() and file.tell() else text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def keep_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; `StorageError` where the disk is full or read-only.

    What is there and is no plain file (a device, a pipe, a link such as ``/dev/stdout``) is written to, never replaced.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        try:
            path.write_bytes(content)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from error
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first trouble is the one to tell
            temporary.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def find_run(run: str) -> Path:
    """The directory of a run, from its path, its id or a file in it; `ConfigurationError` where there is none.

    A file that belongs to no run does not stand for whatever else lies beside it.
    """
    if not run:
        raise ConfigurationError("the name of the run is empty; give its id or its directory, . for the current one")
    for path in (Path(run), RUNS / run):
        if path.is_dir():
            return path
        if path.is_file():
            if path.name not in RECORDS and not (path.parent / LOCK).exists():
                raise ConfigurationError(f"{path} is no record of a run; name the run by its id or its directory")
            return path.parent
    raise ConfigurationError(f"there is no run {run!r}; runs are kept in {RUNS}")
