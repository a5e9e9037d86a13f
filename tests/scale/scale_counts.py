"""What the workers cost one another, in runs of their own: calls of futex(2),
by which threads wait and wake, and what the processors and the scheduler count
(perf-stat(1)), of a server's whole life. What this machine, or this kernel,
does not count is None.
"""

import shutil

import measure
import syscalls
from servers import Trouble

EVENTS = (
    "context-switches", "cpu-migrations", "cache-misses",
    "LLC-load-misses", "instructions", "cycles",
)


def perf_command(file):
    return ["perf", "stat", "-x,", "-o", str(file), "-e", ",".join(EVENTS),
            "--"]


def perf_counts(text):
    """Lines of `COUNT,UNIT,EVENT,...`; `<not supported>` is a count, too."""
    counts = dict.fromkeys(EVENTS)
    for line in text.splitlines():
        words = line.split(",")
        name = words[2].partition(":")[0] if len(words) > 2 else ""
        if name in counts and words[0].isdigit():
            counts[name] = int(words[0])
    return counts


def counters(how, trial):
    """Of each event how many for each delivery, or None."""
    if not shutil.which("perf"):
        return dict.fromkeys(EVENTS)
    file = how.out / "counters.txt"
    seconds = syscalls.spoken_seconds(how)
    with measure.start(how, trial, perf_command(file)) as server:
        load = measure.load_command(how, trial, server, seconds, 0)
        made = measure.load_server(
            server, load, 6 * measure.PATIENCE_SECONDS,
            measure.failed_file(how, trial),
        )
    delivered = made["totals"]["delivered"]
    return {
        name: None if count is None else count / delivered
        for name, count in perf_counts(file.read_text()).items()
    }


def count(how, trial, method):
    """An entry of the report."""
    entry = {"workers": trial.candidate.workers, "trouble": None}
    try:
        entry["counters"] = counters(how, trial)
        if method:
            calls = syscalls.count(how, trial, method)
            futexes = calls["by_name"].get("futex", 0)
            entry |= {
                "method": method,
                "calls_per_delivery": calls["per_delivery"],
                "futexes_per_s": futexes / calls["seconds"],
                "futexes_per_delivery": futexes / calls["deliveries"],
            }
    except Trouble as trouble:
        entry["trouble"] = str(trouble)
    return entry
