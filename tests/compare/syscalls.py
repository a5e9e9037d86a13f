"""System calls: how many a server makes for each delivery, and of which kind.

In runs of their own, as counting costs time. perf(1) counts in the kernel and
slows a server hardly at all; where it may not, strace(1) does, and what it
slows does more with each call. The whole life of a server is counted, twice:
with clients that speak, and with clients that come, are silent and go. The
difference is what it took to pass on what was said.
"""

import re
import shlex
import shutil
import subprocess
from collections import Counter
from functools import cache

from measure import (
    PATIENCE_SECONDS, failed_file, load_command, load_server, start
)
from servers import Trouble

SECONDS = 1.0  # counted at most
SILENT_SECONDS = 0.1
# What a server waits, reads and sends by. perf counts the others in all.
NAMED = (
    "read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto",
    "sendmsg", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl",
    "poll", "ppoll", "select", "io_uring_enter", "futex", "accept4", "close",
    "nanosleep", "clock_nanosleep",
)
ALL = "raw_syscalls:sys_enter"


@cache
def call_numbers():
    """This processor's, by name, as the compiler knows them: events are by
    number, for those by name are not in every kernel."""
    header = "#include <sys/syscall.h>\n"
    done = subprocess.run(
        ["cc", "-E", "-dM", "-"], input=header, text=True,
        capture_output=True, check=True,
    )
    return {
        name: int(number)
        for name, number in re.findall(
            r"^#define __NR_(\w+) (\d+)$", done.stdout, re.MULTILINE
        )
        if name in NAMED
    }


def perf_command(file):
    """All calls, then those of each name."""
    command = ["perf", "stat", "-x,", "-o", str(file), "-e", ALL]
    for number in call_numbers().values():
        command += ["-e", ALL, "--filter", f"id=={number}"]
    return [*command, "--"]


def perf_counts(text):
    """Lines of `COUNT,,EVENT,...`, in the order of the events."""
    rows = [
        line.split(",") for line in text.splitlines() if f",{ALL}," in line
    ]
    names = ["all", *call_numbers()]
    if len(rows) != len(names) or not all(r[0].isdigit() for r in rows):
        raise Trouble(f"it has counted nothing: {text.strip()}")
    counts = Counter({name: int(row[0]) for name, row in zip(names, rows)})
    total = counts.pop("all")
    counts["others"] = total - counts.total()
    return counts


def strace_command(file):
    return ["strace", "-f", "-c", "-qq", "-o", str(file), "--"]


STRACE_ROW = re.compile(
    r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE
)


def strace_counts(text):
    counts = Counter()
    for count, name in STRACE_ROW.findall(text):
        if name != "total":
            counts[name] += int(count)
    if not counts:
        raise Trouble(f"it has counted nothing: {text.strip()}")
    return counts


METHODS = {
    "perf stat": (perf_command, perf_counts),
    "strace": (strace_command, strace_counts),
}


def choose_method(file):
    """The first that works here; None if neither does. And why not."""
    reasons = []
    for method in METHODS:
        try:
            try_method(method, file)
            return method, reasons
        except (Trouble, OSError, subprocess.SubprocessError) as error:
            reasons.append(f"{method}: {error}")
    return None, reasons


def try_method(method, file):
    """perf, without the right to count, may succeed and have counted none."""
    command, counts = METHODS[method]
    program = method.split()[0]
    if not shutil.which(program):
        raise Trouble(f"{program} is not installed")
    tried = subprocess.run(
        [*command(file), "true"], capture_output=True, text=True, timeout=20
    )
    if tried.returncode != 0:
        complaint = tried.stderr.strip().splitlines() or ["it has failed"]
        raise Trouble(complaint[0])
    counts(file.read_text())


def spoken_seconds(setting):
    return min(SECONDS, setting.duration)


def life(setting, trial, method, silent_rooms=0):
    """A server from its start to its end: the calls of all of it, what the
    load has reported, and the load's command. With so many rooms, all in them
    are silent."""
    command, counts = METHODS[method]
    file = setting.out / "calls.txt"
    keep = failed_file(setting, trial)
    seconds = SILENT_SECONDS if silent_rooms else spoken_seconds(setting)
    silent = (
        "--workload", "idle", "--clients", trial.workload.clients,
        "--rooms", silent_rooms,
    ) if silent_rooms else None
    with start(setting, trial, command(file)) as server:
        load = load_command(setting, trial, server, seconds, 0, silent)
        made = load_server(server, load, 6 * PATIENCE_SECONDS, keep)
    return counts(file.read_text()), made, load


def count(setting, trial, method):
    """An entry of the report."""
    spoken, made, load = life(setting, trial, method)
    silent, _, _ = life(setting, trial, method, made["plan"]["rooms"])
    needed = {
        name: max(spoken[name] - silent[name], 0)
        for name, _ in spoken.most_common()
    }
    deliveries = made["totals"]["delivered"]
    seconds = made["rates"]["seconds"]
    server = made["server"]
    return {
        "workload": trial.workload.name,
        "server": trial.candidate.name,
        "method": method,
        "per_delivery": sum(needed.values()) / deliveries,
        "by_name": {name: n for name, n in needed.items() if n},
        "deliveries": deliveries,
        "seconds": seconds,
        "switches_voluntary_per_s": server["switches_voluntary"] / seconds,
        "switches_involuntary_per_s":
            server["switches_involuntary"] / seconds,
        "command": shlex.join([*METHODS[method][0]("FILE"), "SERVER"])
        + " & " + shlex.join(load),
    }
