"""The servers: which there are, how each is started on a processor of its own,
awaited until its port answers, and stopped.

What went wrong is told with the last of what the server has said (Trouble).
Knows nothing of what is measured.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS_RUN = "tests/load/peers/run"
# Debian has some peers where only root's PATH looks.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

# Far longer than any takes to listen; until one that does not stop is killed.
LISTEN_SECONDS = 20
STOP_SECONDS = 10
# Below those that the kernel gives to clients: none of them is in the way.
PORTS = range(20000, 32000)


class Trouble(Exception):
    """A server or a run that did not do what it should."""


@dataclass(frozen=True)
class Candidate:
    """A server that can be started. A peer's title is also what Debian's
    package and its program are called."""

    name: str
    title: str
    kind: str  # "stage", "raw" or "peer"
    dialects: tuple
    program: str
    ramp: int = 256  # clients that may come at a time

    def command(self, cpu, scheme, port, key):
        url = f"{scheme}://127.0.0.1:{port}"
        pinned = ["taskset", "-c", str(cpu)]
        if self.kind == "stage":
            listen = ["--log-level", "error", "--listen", url]
            keyed = ["--key-file", str(key)] if scheme == "secure" else []
            return [*pinned, self.program, *listen, *keyed]
        if self.kind == "raw":
            mode = self.name.removeprefix("raw-")
            return [*pinned, self.program, mode, "--listen", url]
        return [*pinned, PEERS_RUN, self.program, str(port)]


PEERS = (
    Candidate("redis", "redis-server", "peer", ("redis",), "redis"),
    Candidate("nats", "nats-server", "peer", ("nats",), "nats"),
    # No more than ten wait to be accepted.
    Candidate("ngircd", "ngircd", "peer", ("irc",), "ngircd", ramp=8),
    # It lets in, once a second, all who have come.
    Candidate(
        "inspircd", "inspircd", "peer", ("irc",), "inspircd", ramp=10000
    ),
)


def stage(program):
    number, _, word = program.name.removeprefix("stage").partition("-")
    dialects = ("text",) if number == "1" else ("text", "frame", "secure")
    return Candidate(
        f"stage{number}", f"stage {number} {word}", "stage", dialects,
        shown(program),
    )


def shown(path):
    """From the repository, where that is shorter."""
    path = Path(path).resolve()
    if path.is_relative_to(REPOSITORY):
        path = path.relative_to(REPOSITORY)
    return str(path)


def available(build, with_peers):
    """All stages that are built, raw, and the peers, in the order in which
    they are shown."""
    stages = [stage(path) for path in sorted(build.glob("stage[1-9]-*"))]
    if not stages or not (build / "raw").exists():
        raise Trouble(f"{build} has no stages and no raw: run make first")
    raw = shown(build / "raw")
    raws = [
        Candidate(f"raw-{mode}", f"raw {mode}", "raw", ("raw",), raw)
        for mode in ("relay", "echo")
    ]
    peers = PEERS if with_peers else ()
    for peer in peers:
        if not shutil.which(peer.title, path=PATH):
            raise Trouble(f"{peer.title} is not installed")
    return [*stages, *raws, *peers]


def processors():
    """Where servers run, and where the load; the same where there is but
    one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[min(1, len(allowed) - 1)]


def free_port():
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Trouble(f"no free port found from {PORTS[0]} to {PORTS[-1]}")


# --- processes


def stat_fields(pid):
    """proc(5), from the third field on: the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid):
    """User and system time of all its threads so far."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child_of(pid):
    """The one process that another has started."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit():
                if int(stat_fields(entry.name)[1]) == pid:
                    return int(entry.name)
    raise Trouble(f"process {pid} has started nothing")


def end_group(process):
    """Nothing that it has started is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Server:
    """One that runs. `log` takes what it says; `wrapper`, a command that
    starts others, is what watches it."""

    def __init__(self, candidate, scheme, cpu, key, log, wrapper=()):
        self.candidate = candidate
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.log = log
        self.wrapped = bool(wrapper)
        self.command = candidate.command(cpu, scheme, self.port, key)
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [*wrapper, *self.command],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self):
        try:
            self.wait_until_listening()
            self.pid = self.process.pid
            if self.wrapped:
                self.pid = child_of(self.pid)
        except BaseException:
            end_group(self.process)
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.stop()
        finally:
            end_group(self.process)

    def wait_until_listening(self):
        deadline = time.monotonic() + LISTEN_SECONDS
        while time.monotonic() < deadline:
            self.expect_alive()
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.01)
        raise self.trouble(f"does not listen after {LISTEN_SECONDS} s")

    def expect_alive(self):
        if self.process.poll() is not None:
            status = self.process.returncode
            raise self.trouble(f"has ended by itself with status {status}")

    def stop(self):
        """Ours have to go quietly; of the others some take their time."""
        self.expect_alive()
        os.kill(self.pid, signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            if self.candidate.kind != "peer":
                raise self.trouble("does not stop") from None
            return
        if self.candidate.kind != "peer" and status != 0:
            raise self.trouble(f"has ended with status {status}")

    def trouble(self, what):
        last = Path(self.log).read_text(errors="replace").splitlines()[-20:]
        said = "".join(f"\n    {line}" for line in last) or " (said nothing)"
        return Trouble(f"{self.candidate.name} {what}:{said}")
