"""What the kernel says of a process: see proc(5)."""

import os
from pathlib import Path


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def _status_bytes(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def resident_bytes(pid):
    return _status_bytes(pid, "VmRSS")


def address_space_bytes(pid):
    return _status_bytes(pid, "VmSize")


def cpu_seconds(pid):
    """User and system time of all its threads so far."""
    # The second field is the name in parentheses, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
