"""What the kernel says of a process: see proc(5)."""

import contextlib
import os
import time
from pathlib import Path


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptor_paths(pid):
    """What each of its descriptors is open on."""
    paths = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed by now
            paths[int(link.name)] = os.readlink(link)
    return paths


def _bytes(pid, file, field):
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def resident_bytes(pid):
    """Counted page by page: VmRSS lacks what each processor has not yet
    added to it."""
    return _bytes(pid, "smaps_rollup", "Rss")


def address_space_bytes(pid):
    return _bytes(pid, "status", "VmSize")


def _stat(path):
    # The second field is the name in parentheses, which may hold spaces.
    return Path(path).read_text().rpartition(")")[2].split()


def is_stopped(pid):
    """Whether SIGSTOP has reached all its threads."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return all(_stat(task / "stat")[0] == "T" for task in tasks)
    except (FileNotFoundError, ProcessLookupError):
        return False  # one of them was just ending


def cpu_seconds(pid):
    """User and system time of all its threads so far."""
    fields = _stat(f"/proc/{pid}/stat")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_share(pid, seconds):
    """What part of a processor it uses in that time."""
    cpu, begin = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)
