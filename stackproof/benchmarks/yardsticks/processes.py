"""How a tool is run: held to one core, limited in time, its processor time taken, its secrets masked, and nothing left of it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .core_use import CoreUse
from .yardstick import Done, Load, Place, Tool, YardstickError

GRACE_SECONDS = 5.0
"""How much longer than its own limit a process is waited for."""
PROBE_SECONDS = 20.0
"""How long a question such as ``--version`` may take, also of a JVM on a busy machine."""
TOLD_LINES = 3
MASK = "***"
_MARK = "STACKPROOF_YARDSTICK"
"""A variable of all processes of one run of a tool: what is left of it, and how much it worked, is found by that."""
_TIMES = re.compile(r"(\d+)m([\d.]+)s (\d+)m([\d.]+)s")


def on_path(name: str, *folders: Path) -> str | None:
    """The program of this name on PATH, or in one of these folders."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, folders)])
    return shutil.which(name, path=places)


def answer_of(command: Sequence[str], *, environ: Mapping[str, str] | None = None) -> str | None:
    """What a short question such as ``--version`` is answered with; None where that fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the words come from adapters of tools
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            env=None if environ is None else {**os.environ, **environ},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else None


def run_tool(
    tool: Tool,
    arguments: Sequence[str],
    load: Load,
    *,
    limit: float,
    environ: Mapping[str, str] | None = None,
    hidden: Iterable[str] = (),
    given: str = "",
    detached: bool = False,
) -> Done:
    """Run the tool under the load's constraints; `YardstickError` in all cases but a good end.

    ``environ`` is for what must not stand on a command line (a container is given that in files instead). ``given`` goes to
    its standard input. ``hidden`` are the secrets to mask. ``detached``: its processes make themselves independent, so that
    nobody is told how much they worked.
    """
    words = [*tool.command, *arguments]
    if load.core is not None:
        words = ["taskset", "--cpu-list", str(load.core), *words]
    masked = masker(hidden)
    command = masked(shlex.join([*tool.place.prefix, *words]))
    use = CoreUse(load.core)
    run = _on_host if tool.place.on_host else _in_container
    code, output, errors, cpu = run(tool.place, words, limit, environ or {}, given)
    output, errors = masked(output), masked(errors)
    if code is None:
        raise YardstickError(f"{tool.name} took longer than {limit:g} s and was ended: {command}")
    if code != 0:
        said = " / ".join((errors or output).strip().splitlines()[-TOLD_LINES:]) or "it said nothing"
        raise YardstickError(f"{tool.name} ended with {code}: {said}")
    known = None if detached else cpu
    return Done(output, errors, command, known, use.others(known))


def masker(hidden: Iterable[str]) -> _Masker:
    """A function that replaces each of these texts by ``***``, the longest first."""
    return _Masker(tuple(sorted({each for each in hidden if each}, key=len, reverse=True)))


@dataclass(frozen=True, slots=True)
class _Masker:
    hidden: tuple[str, ...]

    def __call__(self, text: str) -> str:
        for secret in self.hidden:
            text = text.replace(secret, MASK)
        return text


def _on_host(
    _place: Place, words: Sequence[str], limit: float, environ: Mapping[str, str], given: str
) -> tuple[int | None, str, str, float]:
    """Exit code (None: it was ended), output, errors, and processor seconds of all its processes."""
    mark = secrets.token_hex(8)
    began = os.times()
    process = subprocess.Popen(  # noqa: S603 - the words come from adapters of tools
        list(words),
        env={**os.environ, **environ, _MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(given, timeout=limit)
        code: int | None = process.returncode
        _end_all(mark)
    except subprocess.TimeoutExpired:
        _end(process, mark)
        output, errors = process.communicate()
        code = None
    except BaseException:
        _end(process, mark)
        process.communicate()
        raise
    ended = os.times()
    cpu = (ended.children_user + ended.children_system) - (began.children_user + began.children_system)
    return code, output, errors, cpu


def _end(process: subprocess.Popen[str], mark: str) -> None:
    """End the process and those that it started."""
    process.kill()
    _end_all(mark)


def _end_all(mark: str) -> None:
    """End what is left of a tool, also such processes as made themselves independent."""
    for each in marked(mark):
        with contextlib.suppress(psutil.Error):
            each.kill()


def marked(mark: str) -> list[psutil.Process]:
    """The processes of this user that carry the mark."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if each.environ().get(_MARK) == mark:
                found.append(each)
    return found


def _in_container(
    place: Place, words: Sequence[str], limit: float, environ: Mapping[str, str], given: str
) -> tuple[int | None, str, str, float]:
    """The same in a container: its shell says what the processes used; it is ended inside, where our signals do not reach."""
    assert not environ, "a container is given its secrets by files"
    inner = ["timeout", "--signal=KILL", f"{limit:g}", *words]
    script = '"$@"; code=$?; times >&2; exit $code'
    try:
        done = subprocess.run(  # noqa: S603 - the words come from adapters of tools
            [*place.prefix, "sh", "-c", script, "sh", *inner],
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit + GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, "", "", 0.0
    errors, cpu = _without_times(done.stderr)
    return (None if done.returncode == 137 else done.returncode), done.stdout, errors, cpu


def _without_times(errors: str) -> tuple[str, float]:
    """Standard error without the two lines of the shell's ``times``, and the processor seconds of its children."""
    lines = errors.splitlines()
    found = [number for number, line in enumerate(lines) if _TIMES.fullmatch(line.strip())]
    if len(found) < 2:
        return errors, 0.0
    last = _TIMES.fullmatch(lines[found[-1]].strip())
    assert last is not None
    user, system = (int(last[1]) * 60 + float(last[2]), int(last[3]) * 60 + float(last[4]))
    kept = [line for number, line in enumerate(lines) if number not in found[-2:]]
    return "\n".join(kept), user + system
