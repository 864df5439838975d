"""What a container of one kind is made from."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that Docker has to know about a container, except for what is the same for all."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Passwords do not belong here: `docker inspect` shows it. They are in files."""
    command: Sequence[str] | None = None
    entrypoint: Sequence[str] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Path in the container -> content, written before it starts."""
    edits: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    """Path of a file of the image -> what makes the new text from the old one."""


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive, as Docker takes files; everybody in the container can read them, nobody outside."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def unpacked(chunks: Sequence[bytes]) -> str:
    """Return the text of the one file in an archive that Docker gave."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        for entry in tar.getmembers():
            if (extracted := tar.extractfile(entry)) is not None:
                return extracted.read().decode()
    return ""
