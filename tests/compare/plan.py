"""What is to be measured in a run, of all that could be: which servers, which
workloads, where system calls are counted; and how long that will take.
"""

import argparse
from dataclasses import dataclass

import measure
import servers
import syscalls
from measure import Trial
from workloads import POINTS, WORKLOADS, asks, why_not

# What a run takes beside warm-up and measured time: to start, to let clients
# in, to wait for what may still come, to stop.
BESIDE_SECONDS = 0.7
# More for those who are slow to let clients in.
BESIDE_MORE = {"inspircd": 1.5, "ngircd": 0.3}
CROWD_SECONDS = 1e-4  # for each client
# A quick run has fewer: these points of the curves, and calls of these.
QUICK_X = (10, 1000, 1024)
QUICK_CALLS = ("fanout-1-100", "paced")


@dataclass
class Plan:
    options: argparse.Namespace
    candidates: list
    table: list  # of workloads
    trials: list
    absent: list  # who cannot be measured under what, and why
    counted: list  # trials, under which system calls are counted


def draw(options):
    candidates, table = chosen(options)
    planned, absent = trials(candidates, table)
    return Plan(
        options, candidates, table, planned, absent, counted(planned, options)
    )


def pick(known, names, what):
    """Those that are named; all if none is."""
    for name in names:
        if name not in [item.name for item in known]:
            every = ", ".join(sorted(item.name for item in known))
            raise LookupError(f"there is no {what} {name}: {every}")
    return [item for item in known if not names or item.name in names]


def chosen(options):
    """Servers and workloads."""
    named = options.servers
    peers = options.peers or any(p.name in named for p in servers.PEERS)
    candidates = servers.available(options.build, peers)
    table = pick([*WORKLOADS, *POINTS], options.only, "workload")
    if options.quick and not options.only:
        table = [w for w in table if is_quick(w)]
    return pick(candidates, named, "server"), table


def is_quick(workload):
    return workload.quick and (not workload.curve or workload.x in QUICK_X)


def trials(candidates, table):
    """Who is measured under what, and who cannot be."""
    planned, absent = [], []
    for workload in table:
        for candidate in candidates:
            if not asks(workload, candidate):
                continue
            why = why_not(workload, candidate)
            if why is None:
                planned.append(Trial(workload, candidate))
            elif not workload.curve:
                absent.append({
                    "workload": workload.name, "server": candidate.name,
                    "why": why,
                })
    return planned, absent


def counted(planned, options):
    """Where system calls are counted: few in a quick run."""
    return [
        Trial(trial.workload, trial.candidate)
        for trial in planned
        if trial.workload.calls
        and (not options.quick or trial.workload.name in QUICK_CALLS)
    ]


def beside_seconds(trial):
    more = BESIDE_MORE.get(trial.candidate.name, 0)
    return BESIDE_SECONDS + more + CROWD_SECONDS * trial.workload.clients


def run_seconds(setting, trial):
    measured = trial.workload.measured_seconds(setting.duration)
    return beside_seconds(trial) + setting.warmup + measured


def calls_seconds(setting, trial):
    """Two lives of a server, one of them silent; a traced one ends slowly."""
    spoken = syscalls.spoken_seconds(setting) + syscalls.SILENT_SECONDS
    return 2 * beside_seconds(trial) + spoken + 0.3


def total(setting, plan):
    """How many runs, and how many seconds."""
    runs = [(t, measure.planned(setting, t)) for t in plan.trials]
    seconds = sum(n * run_seconds(setting, t) for t, n in runs)
    seconds += sum(calls_seconds(setting, t) for t in plan.counted)
    return sum(n for _, n in runs) + len(plan.counted), seconds
