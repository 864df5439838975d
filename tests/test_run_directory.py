"""The directory of a run: full disks, read-only ones, taken ones. What was measured is not lost without a word."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import stackproof

from stackproof.interfaces import ConfigurationError
from stackproof.verification.runs import LEAST_ROOM, StorageError, check_place, id_of, keep, keep_run, open_run


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "stackproof", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, free: int) -> None:
    """Leave so many bytes."""
    (folder / "filler").write_bytes(bytes(2 * 2**20 - free))


class TestOpening:
    def test_a_full_disk_is_told_before_the_work(self, small: Path) -> None:
        fill(small, free=64 * 1024)
        with pytest.raises(StorageError, match=r"a run needs 1024 kB, and \d+ kB are free where .* is; use --out DIR"):
            open_run(small / "run", "id")
        assert not (small / "run").exists()

    def test_room_enough(self, small: Path) -> None:
        assert LEAST_ROOM <= 2**20
        assert open_run(small / "deep" / "run", "id").is_dir()

    def test_a_read_only_file_system(self, small: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        with pytest.raises(StorageError, match=r"cannot be kept in .*: Read-only file system; use --out DIR"):
            open_run(small / "run", "id")

    def test_one_that_the_system_refuses_is_no_wrong_usage_and_one_that_can_be_no_directory_is(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(StorageError, match=r"cannot be kept in /proc/nope: .*; use --out DIR"):
            open_run(Path("/proc/nope"), "id")
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match=r"the run cannot be kept in .*: Not a directory"):
            open_run(tmp_path / "file" / "run", "id")

    def test_a_read_only_current_directory_is_told_before_anything_is_verified_or_started(self, small: Path) -> None:
        options = ("bench", "--stack", "memory", "--rate", "5", "--duration", "1", "--no-calibration")
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        done = stackproof(*options, cwd=small)
        assert (done.returncode, done.stdout) == (4, "")
        assert re.fullmatch(
            r"stackproof: the run cannot be kept in .stackproof/runs/\S+: Read-only file system; use --out DIR\n",
            done.stderr,
        )

    def test_where_the_certificate_that_comes_first_has_no_place_that_is_told_and_not_begun(
        self, small: Path, tmp_path: Path
    ) -> None:
        options = ("bench", "--stack", "memory", "--scenario", "cache-hot", "--rate", "5", "--duration", "1")
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        done = stackproof(*options, "--out", str(tmp_path / "run"), cwd=small)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith("stackproof: cache=memory must be verified first; the run cannot be kept in ")
        assert done.stderr.endswith(": Read-only file system; begin in another directory\n")

    def test_nothing_is_made_where_only_the_place_is_looked_at(self, tmp_path: Path) -> None:
        assert check_place(tmp_path / "deep" / "run", "id") == tmp_path / "deep" / "run"
        assert list(tmp_path.iterdir()) == []

    def test_one_that_holds_a_run(self, tmp_path: Path) -> None:
        open_run(tmp_path / "run", "id")
        with pytest.raises(ConfigurationError, match="holds a run already, and is not overwritten"):
            open_run(tmp_path / "run", "id")


class TestKeeping:
    def test_all_is_well(self, tmp_path: Path) -> None:
        assert keep_run(tmp_path, {"run.json": lambda: "a", "page.html": lambda: "b"}) == ()
        assert (tmp_path / "run.json").read_text() == "a"

    def test_what_finds_no_place_is_kept_elsewhere_and_the_rest_where_it_belongs(
        self, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(other))
        fill(small, free=128 * 1024)
        (trouble,) = keep_run(small, {"run.json": lambda: "x" * 2**20, "evidence.json": lambda: "small"})
        assert (small / "evidence.json").read_text() == "small"
        (instead,) = other.glob("stackproof-run-*/run.json")
        assert instead.read_text() == "x" * 2**20
        assert trouble == f"{small / 'run.json'} cannot be written: No space left on device; it is kept as {instead}"
        assert not (small / "run.json").exists()

    def test_no_place_anywhere_is_said(self, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        fill(small, free=8 * 1024)
        (trouble,) = keep_run(small, {"run.json": lambda: "x" * 2**20})
        assert trouble.endswith(f"it was not kept, for nothing can be written to {small} either")


def test_a_page_that_cannot_be_written_again(tmp_path: Path) -> None:
    done = stackproof("report", str(tmp_path / "nothing"), cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no run" in done.stderr


def test_a_run_that_is_gone_on_with_keeps_its_id_wherever_it_is_kept(tmp_path: Path) -> None:
    monday = open_run(tmp_path / "mon" / "x", "20260102-030405-abcd")
    tuesday = open_run(tmp_path / "tue" / "x", "20260103-030405-ef01")
    assert (id_of(monday), id_of(tuesday)) == ("20260102-030405-abcd", "20260103-030405-ef01"), "killed before a record"
    keep(monday / "run.json", '{"id": "20260102-030405-abcd", "nothing": NaN}')
    (monday / "run.lock").write_text("", encoding="utf-8")
    assert id_of(monday) == "20260102-030405-abcd"
    (tuesday / "run.json").write_text('{"id": ', encoding="utf-8")
    assert id_of(tuesday) == "20260103-030405-ef01", "its record was cut off"


def test_a_run_of_which_nothing_says_what_it_is_called_gets_a_new_id(tmp_path: Path) -> None:
    found = set()
    for day in ("mon", "tue"):
        (tmp_path / day / "x").mkdir(parents=True)
        (tmp_path / day / "x" / "run.lock").touch()
        found.add(id_of(tmp_path / day / "x"))
    assert len(found) == 2
    assert "x" not in found


@pytest.mark.parametrize("words", [(), ("--csv", "-"), ("--badge", "badge.svg")])
def test_a_directory_without_a_record_is_no_data_as_it_is_to_compare(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "empty").mkdir()
    done = stackproof("report", "empty", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith("stackproof: empty holds no")
    assert stackproof("compare", "empty", "empty", cwd=tmp_path).returncode == 6


def test_a_record_of_another_kind_is_one_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tax.json").write_text("{}", encoding="utf-8")
    done = stackproof("report", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "stackproof: run holds tax.json, of which there is no page\n")
    done = stackproof("report", "run", "--csv", "-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "stackproof: run holds no run.json: only a measurement has tables\n",
    )
