"""`make million`: that a small crowd yields a whole report, that limits are
kept to and said, and that an interrupted run leaves nothing behind."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY
from timing import WAIT, until

sys.path += [str(REPOSITORY / f"tests/{d}") for d in ("compare", "million")]

import million  # noqa: E402
import million_limits  # noqa: E402
import million_memory  # noqa: E402

MEMBERS = 2000


@pytest.fixture
def command(program, folder):
    def make(*options, members=MEMBERS):
        return [
            sys.executable, REPOSITORY / "tests/million/million.py", program,
            "--members", str(members), "--out", folder, *options,
        ]

    return make


def run_million(command, **how):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=4 * WAIT, **how
    )


@pytest.mark.unsanitized
@pytest.mark.unfaulted
@pytest.mark.stages(3, 4)
def test_a_small_crowd(command, folder):
    done = run_million(command("--repetitions", "4"))
    assert done.returncode == 0, done.stderr
    made = json.loads((folder / "report.json").read_text())
    assert made["members"] == made["wanted"] == MEMBERS
    assert made["limit"] == ""
    check_join(made["join"])
    check_memory(made["memory"])
    check_heard(made)
    text = (folder / "report.md").read_text()
    assert f"# {MEMBERS:,} members in one room" in text
    assert text.strip() in done.stdout and "nan" not in text


def check_join(join):
    assert join["steps"][0]["from"] == 0
    assert join["steps"][-1]["to"] == MEMBERS
    assert 0 < join["seconds"] < WAIT
    assert join["per_s"] == pytest.approx(MEMBERS / join["seconds"])


def check_memory(memory):
    """The server's own is next to nothing. The kernel's is that of all who
    run beside this test, too."""
    assert 0 < memory["server_rss"] < 4096
    for name in ("kernel_both_ends", "kernel_server_end"):
        assert abs(memory[name]) < 1 << 20
    assert memory["caches"] is not None and "sockets" in memory


def check_heard(made):
    assert len(made["lines"]) == 4
    for line in [made["first"], *made["lines"]]:
        assert line["heard"] == MEMBERS
        assert line["corrupted"] == line["lost"] == 0
        times = [line[f"{n}_ms"] for n in ("first", "p50", "p99", "last")]
        assert 0 < times[0] and times == sorted(times)
    low, high = made["heard"]["spread"]["last_ms"]
    assert low <= made["heard"]["last_ms"] <= high


@pytest.mark.unsanitized
@pytest.mark.unfaulted
@pytest.mark.stages(4)
def test_a_server_that_is_full(command, folder):
    done = run_million(command("--server-options=--max-connections 100"))
    assert done.returncode == 0, done.stderr
    made = json.loads((folder / "report.json").read_text())
    assert made["members"] == 100
    assert "server-full" in made["limit"]


class Limits:
    """RLIMIT_NOFILE of a process that may raise it, or may not."""

    RLIMIT_NOFILE = resource.RLIMIT_NOFILE

    def __init__(self, hard, nr_open, may_raise):
        self.soft, self.hard = 100, hard
        self.nr_open, self.may_raise = nr_open, may_raise

    def getrlimit(self, which):
        return self.soft, self.hard

    def setrlimit(self, which, limits):
        most = int(self.nr_open.read_text())
        if limits[1] > most or limits[1] > self.hard and not self.may_raise:
            raise ValueError("not allowed to raise maximum limit")
        self.soft, self.hard = limits


@pytest.mark.parametrize(
    "nr_open, hard, may_raise, allowed, raised, why",
    [
        (10_000, 9000, False, 5000, 10_000, ""),
        (1000, 200, True, 5000, 5000, ""),
        (1000, 200, False, 200, 1000, "RLIMIT_NOFILE is 200, and this"),
    ],
)
def test_descriptors(
    monkeypatch, folder, nr_open, hard, may_raise, allowed, raised, why
):
    file = folder / "nr_open"
    file.write_text(f"{nr_open}\n")
    fake = Limits(hard, file, may_raise)
    monkeypatch.setattr(million_limits, "resource", fake)
    with million_limits.Sysctls(lambda _: None) as sysctls:
        found, reason = million_limits.allow_descriptors(5000, sysctls, file)
        assert found == fake.soft == allowed
        assert why in reason and int(file.read_text()) == raised
    assert int(file.read_text()) == nr_open


def test_memory_is_left(monkeypatch):
    monkeypatch.setattr(million_limits, "available_bytes", lambda: 1 << 30)
    monkeypatch.setattr(
        million_limits, "allow_descriptors", lambda wanted, _: (wanted, "")
    )
    members, why = million_limits.plan(10**8, None)
    each = million_limits.MEMBER_BYTES + million_limits.LINE_BYTES
    assert 0.84 * (1 << 30) < members * each <= 0.85 * (1 << 30)
    assert why.startswith("memory: 15%")


def test_sysctls_are_restored(folder):
    file = folder / "nr_open"
    file.write_text("1000\n")
    said = []
    with pytest.raises(KeyboardInterrupt):
        with million_limits.Sysctls(said.append) as sysctls:
            assert sysctls.set(file, 2000) and sysctls.set(file, 3000)
            assert file.read_text() == "3000\n"
            raise KeyboardInterrupt
    assert file.read_text() == "1000\n"
    assert "is 1000 again" in said[-1]


def test_sysctl_that_may_not_be_set():
    said = []
    with million_limits.Sysctls(said.append) as sysctls:
        assert not sysctls.set(Path("/proc/version"), 1)
    assert len(said) == 1 and "cannot be set" in said[0]


def test_the_rate_of_joining():
    """At 100 a second, then at 50; a member costs 1 ms, then 2."""
    moments = [(0.0, 0, 0.0)]
    moments += [(n / 10, n * 10, n / 100) for n in range(1, 101)]
    moments += [
        (10 + n / 5, 1000 + n * 10, 1 + n / 50) for n in range(1, 101)
    ]
    made = million.joining(moments, {"seconds": 30.0, "members": 2000})
    assert len(made["steps"]) == million.STEPS
    for n, step in enumerate(made["steps"]):
        rate, each = (100, 1000) if n < 5 else (50, 2000)
        assert step["per_s"] == pytest.approx(rate)
        assert step["server_us"] == pytest.approx(each)


def snapshot(**caches):
    return {
        "server_rss": 0, "server_pss": 0, "available": 0, "sockets": {},
        "kernel": dict.fromkeys(million_memory.KERNEL, 0),
        "kernel_all": sum(caches.values()),
        "caches": caches,
        "objects": {name: size // 100 for name, size in caches.items()},
    }


@pytest.mark.parametrize(
    "engine, each", [("stage4", 1450), ("stage3", 1400)]
)
def test_whose_end_it_is(engine, each):
    """Half of what both have; epoll's alone is the crowd's where the server
    does without; what others looked at in /proc is nobody's."""
    before = snapshot(TCP=1000, eventpoll_epi=0, io_kiocb=0, dentry=10000,
                      proc_inode_cache=0)
    after = snapshot(TCP=21000, eventpoll_epi=1000, io_kiocb=2000,
                     dentry=20000, proc_inode_cache=5000)
    made = million_memory.each_member(before, after, 10, engine)
    assert made["kernel_others"] == 1000
    assert made["kernel_both_ends"] == 2800
    assert made["kernel_server_end"] == each


@pytest.mark.unsanitized
@pytest.mark.unfaulted
@pytest.mark.stages(4)
def test_interrupted_crowd_leaves_nothing(command, folder):
    process = subprocess.Popen(
        ["env", "--default-signal=INT",
         *command("--repetitions", "1000000", members=300)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    until(lambda: "line 3" in process.stderr.readline(), "lines are said")
    of_server = [str(p) for p in children(process.pid)]
    assert len(of_server) == 2
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in of_server)
    assert not (folder / "report.json").exists()


def children(pid):
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True,
        text=True,
    )
    return [int(word) for word in found.stdout.split()]
