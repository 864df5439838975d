"""The environment of a measurement: read from a machine that is laid out in a folder, compared, and free of names."""

from __future__ import annotations

import getpass
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from stackproof.measurement.environment import (
    Environment,
    changed_since,
    disturbance,
    read_environment,
    same_environment,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of two governed cores, without any control groups."""
    write(tmp_path / "proc/cpuinfo", "processor\t: 0\nmodel name\t: A 9000\nflags\t\t: fpu hypervisor\n")
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    for core in range(2):
        write(tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", "performance\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class TestReading:
    def test_processor_hypervisor_and_governor(self, root: Path) -> None:
        found = read_environment(root)
        assert (found.processor, found.virtual, found.governor) == ("A 9000", True, "performance")
        assert (found.cpu_limit, found.memory_limit_bytes, found.container) == (None, None, "none")
        assert not found.unknown

    def test_governors_that_differ_are_all_named(self, root: Path) -> None:
        write(root / "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n")
        assert read_environment(root).governor == "performance, powersave"

    def test_the_smallest_limit_on_the_way_to_the_root_counts(self, root: Path) -> None:
        write(root / "proc/self/cgroup", "0::/a/b\n")
        groups = root / "sys/fs/cgroup"
        write(groups / "a/cpu.max", "50000 100000\n")
        write(groups / "a/b/cpu.max", "max 100000\n")
        write(groups / "a/memory.max", f"{256 * 2**20}\n")
        write(groups / "a/b/memory.max", f"{128 * 2**20}\n")
        found = read_environment(root)
        assert (found.cpu_limit, found.memory_limit_bytes) == (0.5, 128 * 2**20)

    def test_limits_of_the_first_version_of_control_groups(self, root: Path) -> None:
        write(root / "proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n1:name=systemd:/\n")
        groups = root / "sys/fs/cgroup"
        write(groups / "cpu,cpuacct/x/cpu.cfs_quota_us", "150000\n")
        write(groups / "cpu,cpuacct/x/cpu.cfs_period_us", "100000\n")
        write(groups / "memory/x/memory.limit_in_bytes", f"{64 * 2**20}\n")
        found = read_environment(root)
        assert (found.cpu_limit, found.memory_limit_bytes) == (1.5, 64 * 2**20)

    def test_the_number_that_means_no_limit_is_none(self, root: Path) -> None:
        write(root / "proc/self/cgroup", "5:memory:/\n")
        write(root / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        assert read_environment(root).memory_limit_bytes is None

    @pytest.mark.parametrize(
        ("mark", "text", "name"),
        [
            (".dockerenv", "", "docker"),
            ("run/.containerenv", "", "podman"),
            ("run/systemd/container", "lxc\n", "lxc"),
            ("proc/1/cgroup", "0::/kubepods/pod1\n", "kubernetes"),
        ],
    )
    def test_marks_of_containers(self, root: Path, mark: str, text: str, name: str) -> None:
        write(root / mark, text)
        assert read_environment(root).container == name

    def test_what_cannot_be_read_is_unknown_with_its_reason(self, tmp_path: Path) -> None:
        assert "/proc/cpuinfo cannot be read" in read_environment(tmp_path).unknown["virtual"]

    def test_the_machine_that_it_really_is(self) -> None:
        found = read_environment()
        assert found.cores >= 1
        assert found.memory_bytes > 0
        assert found.packages["redis"]
        assert Environment.from_data(json.loads(json.dumps(found.to_data()))) == found

    def test_no_name_of_machine_or_person(self) -> None:
        text = json.dumps(read_environment().to_data()).lower()
        names = {socket.gethostname().lower(), getpass.getuser().lower(), str(Path.home()).lower()} - {"localhost"}
        assert not [name for name in names if f'"{name}' in text or f" {name}" in text]


class TestComparing:
    def test_the_same_is_the_same_whatever_the_load(self, root: Path) -> None:
        found = read_environment(root)
        assert same_environment(found, replace(found, load=99.0)) == ()

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"processor": "B"}, "the processor differs: A 9000 and B"),
            ({"cpu_limit": 0.5}, "the limit of processor time differs: no limit and 0.5"),
            ({"governor": "powersave"}, "the frequency governor differs: performance and powersave"),
            ({"kernel": "1"}, "the kernel differs"),
        ],
    )
    def test_each_difference_is_a_reason(self, root: Path, changes: dict[str, object], sentence: str) -> None:
        found = read_environment(root)
        (reason,) = same_environment(found, replace(found, **changes))  # type: ignore[arg-type]
        assert reason.startswith(sentence)

    def test_another_version_of_a_driver_is_one_too(self, root: Path) -> None:
        found = read_environment(root)
        other = replace(found, packages={**found.packages, "redis": "1"})
        assert same_environment(found, other) == (f"redis differs: {found.packages['redis']} and 1",)

    def test_unknown_is_never_equal(self, root: Path) -> None:
        found = replace(read_environment(root), governor="", unknown={"governor": "permission denied"})
        assert same_environment(found, found) == ("the frequency governor is not known (permission denied)",)


class TestDisturbance:
    def test_a_busy_machine_is_told(self, root: Path) -> None:
        found = replace(read_environment(root), cores=2, load=1.5)
        assert "a load of 1.50 on 2 cores" in disturbance(found)

    def test_limits_make_it_busy_sooner(self, root: Path) -> None:
        found = replace(read_environment(root), cores=8, cpu_limit=0.5, load=0.3)
        assert disturbance(found)
        assert not disturbance(replace(found, cpu_limit=None))


def test_what_a_record_does_not_tell_of_was_no_part_of_it() -> None:
    told = {
        "python": "CPython 3.11",
        "cores": "2",
        "system": "Linux",
        "processor": "x",
        "redis": "5.0",
        "locust": "2.0",
    }
    assert list(changed_since(told, {**told, "boto3": "1.0"})) == []
    now = {**told, "redis": "6.0", "python": "CPython 3.12"}
    assert list(changed_since(told, now)) == [("python", "CPython 3.11", "CPython 3.12"), ("redis", "5.0", "6.0")]
    assert list(changed_since(told, now, drivers_only=True)) == [("redis", "5.0", "6.0")]
    assert list(changed_since({"redis": "5.0"}, {}, drivers_only=True)) == [("redis", "5.0", "")]
    assert [name for name, *_ in changed_since({"cores": "2"}, told)] == ["processor", "python", "system"]
