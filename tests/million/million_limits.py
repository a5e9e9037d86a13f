"""How many members a machine can hold: limits of descriptors, memory and
ports, raised where this process may, and given back. What cannot be had is
said in words, never tried at the machine's cost.
"""

import contextlib
import os
import resource
from pathlib import Path

# Descriptors of a server, or a crowd, that are no members: listeners, rings,
# files, and those waiting to be told that the server is full.
SPARE = 32
# What a member takes of the machine, both ends of its connection together
# (measured: 10 KiB, see docs/scaling.md), and what a line that is on its way
# to it takes more.
MEMBER_BYTES = 11 << 10
LINE_BYTES = 3 << 9
# Of what is available at the start, how much stays so.
FREE_SHARE = 0.15
# Of an address: so few that a free port is found at once.
EACH_SOURCE = 10_000
FIRST_SOURCE = "127.0.0.2"

NR_OPEN = Path("/proc/sys/fs/nr_open")
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
CONNTRACK = Path("/proc/sys/net/netfilter")


class Sysctls:
    """Values of the system, set for as long as this is entered."""

    def __init__(self, tell):
        self.tell, self.before = tell, {}

    def __enter__(self):
        return self

    def set(self, file, value):
        """Whether that may be done."""
        old = file.read_text().strip()
        try:
            file.write_text(f"{value}\n")
        except OSError as error:
            self.tell(f"{file} cannot be set to {value}: {error.strerror}")
            return False
        self.before.setdefault(file, old)
        self.tell(f"{file} is {value} for now, was {old}")
        return True

    def __exit__(self, *_):
        for file, old in self.before.items():
            file.write_text(f"{old}\n")
            self.tell(f"{file} is {old} again")


def allow_descriptors(wanted, sysctls, nr_open=NR_OPEN):
    """Raises what this process, and who it starts, may open; how many that
    is, and what it is that allows no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = int(nr_open.read_text())
    if hard < wanted and raise_hard(min(wanted, most)):
        if wanted > most and sysctls.set(nr_open, wanted):
            raise_hard(wanted)
        elif wanted > most:
            return most, f"descriptors: fs.nr_open is {most:,}"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return min(wanted, hard), (
        f"descriptors: RLIMIT_NOFILE is {hard:,}, and this process may not "
        "raise it (that takes CAP_SYS_RESOURCE)"
    )


def raise_hard(wanted):
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError):
        return False
    return True


def system_files():
    """Open files that the system allows this process, both ends together:
    who may administer the system is not limited."""
    if os.geteuid() == 0:
        return None
    used, _, most = Path("/proc/sys/fs/file-nr").read_text().split()
    return int(most) - int(used)


def available_bytes():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise KeyError("MemAvailable")


def floor_bytes(available, members):
    """What has to be available while they come: the share that stays so, and
    a line to each."""
    return int(available * FREE_SHARE) + members * LINE_BYTES


def plan(wanted, sysctls):
    """How many members may come, and the limit if they are fewer."""
    limits = [(wanted, "")]
    descriptors, why = allow_descriptors(wanted + SPARE, sysctls)
    limits.append((descriptors - SPARE, why))
    files = system_files()
    if files is not None:
        why = "descriptors of the system: fs.file-max"
        limits.append(((files - 2 * SPARE) // 2, why))
    room = available_bytes() * (1 - FREE_SHARE)
    limits.append((
        int(room / (MEMBER_BYTES + LINE_BYTES)),
        f"memory: {FREE_SHARE:.0%} of what is available has to stay so, and "
        f"a member takes some {(MEMBER_BYTES + LINE_BYTES) / 1024:g} KiB",
    ))
    return min(limits, key=lambda limit: limit[0])


def each_source():
    """How many come from one address."""
    first, last = map(int, PORT_RANGE.read_text().split())
    return min(EACH_SOURCE, max(1, (last - first) // 2))


def connections_tracked_out():
    """Whether the packet filter keeps an entry for each connection, and has
    no room for more; in words."""
    with contextlib.suppress(OSError, ValueError):
        count = int((CONNTRACK / "nf_conntrack_count").read_text())
        most = int((CONNTRACK / "nf_conntrack_max").read_text())
        if count >= most * 0.99:
            return f"nf_conntrack_max ({most:,}) is reached"
    return ""
