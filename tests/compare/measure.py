"""Runs: one server under one load, what came of it as the figures of a round;
whether something else used the processors meanwhile; and rounds put together.

The rounds of a group are interleaved: in each, every server is measured once
under every workload of the group, in another order each time.
"""

import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import servers
from servers import Server, Trouble
from workloads import dialect

# What something else may have taken of a processor while a run is still taken
# for undisturbed. Not all of it is somebody's: what the kernel does for nobody
# in particular is in it, and what a run is too short to count well. Of 113
# runs beside which nothing is known to have run it was 4 % in the median, 6 %
# in nine of ten, 13 % at most.
DISTURBED = 0.15
# Of all planned runs, how many may be repeated; and one, how often.
REPEATED_SHARE = 0.15
REPEATED_EACH = 2

# Until all have come, and until what is on its way has arrived.
PATIENCE_SECONDS = 15
# A round's figures that are put together; the others are not numbers.
FIGURES = (
    "delivered_per_s", "published_per_s", "deliveries_per_cpu_s",
    "cpu_s_per_million", "p50_us", "p99_us", "p999_us", "max_us",
    "switches_per_s", "resident_bytes", "resident_per_client",
    "megabytes_per_s", "other_share",
)


@dataclass(frozen=True)
class Setting:
    """How everything is run."""

    load: str  # the program
    out: Path  # the folder for logs
    key: Path
    server_cpu: int
    load_cpu: int
    rounds: int
    duration: float
    warmup: float

    @property
    def cpus(self):
        return {self.server_cpu, self.load_cpu}


@dataclass
class Trial:
    """A server under a workload, and what has come of it."""

    workload: object
    candidate: object
    rounds: list = field(default_factory=list)
    buckets: Counter = field(default_factory=Counter)
    repeated: int = 0
    command: str = ""
    server_command: str = ""
    trouble: str = ""  # why it was not asked again

    @property
    def name(self):
        return f"{self.workload.name} {self.candidate.name}"

    @property
    def dialect(self):
        return dialect(self.workload, self.candidate)


# --- one run


def load_command(setting, trial, server, seconds, warmup, load=None):
    """What loads a server: as the workload says, or with other options of
    ringchat-load's."""
    pinned = ["taskset", "-c", setting.load_cpu]
    if trial.workload.kind == "connect":
        program = [sys.executable, "tests/compare/connect.py"]
        what = ["--server-pid", server.pid, trial.workload.clients]
        return words(*pinned, *program, *what, server.url)
    keyed = ["--key-file", setting.key] if trial.dialect == "secure" else []
    return words(
        *pinned, setting.load, "--quiet", "--json", "-",
        "--server-pid", server.pid, "--patience", PATIENCE_SECONDS,
        "--ramp", trial.candidate.ramp, "--warmup", warmup,
        "--duration", seconds, *(load or trial.workload.load), *keyed,
        server.url,
    )


def words(*parts):
    return [str(part) for part in parts]


def first_line(text):
    return (text.strip() or "it has said nothing").splitlines()[0]


def run_load(command, seconds, keep):
    """Its report. If its checks fail, what it has said is kept."""
    process = subprocess.Popen(
        command,
        cwd=servers.REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Trouble(f"not over after {seconds:g} s: {shlex.join(command)}")
    finally:
        servers.end_group(process)
    if process.returncode != 0:
        keep.write_text(f"{shlex.join(command)}\n{complaints}{output}")
        raise Trouble(
            f"the load has ended with status {process.returncode}, "
            f"see {servers.shown(keep)}: {first_line(complaints)}"
        )
    return json.loads(output)


class Watch:
    """What has been used of the processors from here on, and by whom."""

    def __init__(self, cpus, pid):
        self.cpus, self.pid = set(cpus), pid
        self.begin = self.now()

    def now(self):
        """Time, idle time of the processors, the server's and the load's
        (which is the only child that ends meanwhile)."""
        idle = sum(idle_seconds(cpu) for cpu in self.cpus)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = ended.ru_utime + ended.ru_stime
        return time.monotonic(), idle, servers.cpu_seconds(self.pid), ours

    def other_share(self):
        """What nobody of ours has used: of one processor, a share."""
        passed = [b - a for a, b in zip(self.begin, self.now())]
        return other_share(len(self.cpus), *passed)


def idle_seconds(cpu):
    """proc(5): time in which a processor had nothing to do, which the wait of
    io_uring is for the kernel, too (iowait)."""
    with open("/proc/stat") as stat:
        for line in stat:
            if line.startswith(f"cpu{cpu} "):
                idle, waiting = line.split()[4:6]
                return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")
    raise Trouble(f"/proc/stat has no cpu{cpu}")


def other_share(cpus, seconds, idle, server, load):
    return (cpus * seconds - idle - server - load) / seconds


def run_once(setting, trial):
    """One round: the server started anew, loaded, stopped. Its figures, and
    all that the load has reported."""
    workload = trial.workload
    seconds = workload.measured_seconds(setting.duration)
    warmup = 0 if workload.unit == "members" else setting.warmup
    with start(setting, trial) as server:
        command = load_command(setting, trial, server, seconds, warmup)
        trial.command = shlex.join(command)
        trial.server_command = shlex.join(server.command)
        watch = Watch(setting.cpus, server.pid)
        limit = seconds + warmup + 4 * PATIENCE_SECONDS
        made = load_server(server, command, limit, failed_file(setting, trial))
        return round_of(made, workload, watch.other_share()), made


def start(setting, trial, wrapper=()):
    log = setting.out / f"{trial.candidate.name}.log"
    return Server(
        trial.candidate, trial.dialect, setting.server_cpu, setting.key, log,
        wrapper,
    )


def failed_file(setting, trial):
    return setting.out / f"failed-{trial.name.replace(' ', '-')}.txt"


def load_server(server, command, limit, keep):
    """What the load reports. Where the server has died, the load fails as
    well, but that is what is told."""
    try:
        made = run_load(command, limit, keep)
    except Trouble:
        server.expect_alive()
        raise
    server.expect_alive()
    return made


def round_of(made, workload, other):
    """The figures of a round, of what the load reports. Memory is what it is
    whoever else runs."""
    silent = workload.unit == "members"
    known = {} if silent else spoken_figures(made, workload)
    server = made["server"]
    grown = server["resident_entered_bytes"] - server["resident_before_bytes"]
    return {
        **dict.fromkeys(FIGURES),
        **known,
        "resident_bytes": server["resident_bytes"],
        "resident_per_client": max(grown, 0) / made["totals"]["entered"],
        "bottleneck": made["bottleneck"],
        "held": made["held"],
        "other_share": round(other, 3),
        "disturbed": other > DISTURBED and not silent,
    }


def spoken_figures(made, workload):
    """Where something is said. Visits are what is delivered by `churn`."""
    rates, server, times = made["rates"], made["server"], made["latency"]
    unit = "visits" if workload.unit == "visits" else "delivered"
    cpu = server["user_s"] + server["system_s"]
    delivered = made["measured"][unit]
    known = cpu > 0 and delivered > 0
    switches = server["switches_voluntary"] + server["switches_involuntary"]
    return {
        "delivered_per_s": rates[f"{unit}_per_s"],
        "published_per_s": rates["published_per_s"],
        "megabytes_per_s": rates["megabytes_per_s"],
        "deliveries_per_cpu_s": delivered / cpu if known else None,
        "cpu_s_per_million": cpu * 1e6 / delivered if known else None,
        **{
            name: times[name] if times["count"] else None
            for name in ("p50_us", "p99_us", "p999_us", "max_us")
        },
        "switches_per_s": switches / rates["seconds"],
    }


# --- rounds


class Rounds:
    """Takes the rounds, group for group. `tell` is told of each: which trial,
    its figures (none if there are none) and what else there is to say."""

    def __init__(self, setting, tell, take=run_once):
        self.setting, self.tell, self.take = setting, tell, take
        self.repeats_left = 0

    def take_all(self, trials):
        runs = sum(planned(self.setting, trial) for trial in trials)
        self.repeats_left = max(3, int(runs * REPEATED_SHARE))
        groups = {}
        for trial in trials:
            groups.setdefault(trial.workload.where, []).append(trial)
        for group in groups.values():
            for number in range(max(planned(self.setting, t) for t in group)):
                self.take_round(group, number)

    def take_round(self, group, number):
        """Each once, beginning with another each time. Who was disturbed is
        asked again when the others have been."""
        turn = number % len(group)
        due = deque(group[turn:] + group[:turn])
        again = Counter()
        while due:
            trial = due.popleft()
            if trial.trouble or number >= planned(self.setting, trial):
                continue
            if not self.take_one(trial, again[trial.name]):
                again[trial.name] += 1
                due.append(trial)

    def take_one(self, trial, before):
        """Whether that is done with."""
        try:
            figures, made = self.take(self.setting, trial)
        except Trouble as trouble:
            trial.trouble = str(trouble)
            self.tell(trial, None, f"FAILED: {trouble}")
            return True
        if figures["disturbed"] and self.may_repeat(before):
            self.repeats_left -= 1
            trial.repeated += 1
            share = figures["other_share"]
            self.tell(trial, None, "once more, something else used "
                      f"{share:.0%} of a processor")
            return False
        trial.rounds.append(figures)
        for low, high, count in made["latency"]["buckets_ns"]:
            trial.buckets[low, high] += count
        self.tell(trial, figures, "")
        return True

    def may_repeat(self, before):
        return before < REPEATED_EACH and self.repeats_left > 0


def planned(setting, trial):
    return min(setting.rounds, trial.workload.rounds)


def together(rounds, pick):
    """Of each figure what `pick` makes of all rounds that have it."""
    combined = {}
    for name in FIGURES:
        values = [r[name] for r in rounds if r[name] is not None]
        combined[name] = pick(values) if values else None
    limits = Counter(r["bottleneck"] for r in rounds)
    combined["bottleneck"] = limits.most_common(1)[0][0]
    combined["held"] = all(r["held"] for r in rounds)
    return combined


def result(trial):
    """A trial as it is reported."""
    buckets = [
        [*edges, count] for edges, count in sorted(trial.buckets.items())
    ]
    return {
        "workload": trial.workload.name,
        "server": trial.candidate.name,
        "variant": trial.dialect,
        "command": trial.command,
        "server_command": trial.server_command,
        "rounds": trial.rounds,
        "repeated": trial.repeated,
        "disturbed": sum(r["disturbed"] for r in trial.rounds),
        "trouble": trial.trouble or None,
        "median": together(trial.rounds, statistics.median),
        "low": together(trial.rounds, min),
        "high": together(trial.rounds, max),
        "buckets_ns": buckets or None,
    }
