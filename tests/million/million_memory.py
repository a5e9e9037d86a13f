"""Memory, in the server and in the kernel, before members have come and
after; and what of that one member takes. See proc(5).
"""

import contextlib
import mmap
import time
from pathlib import Path

# The kernel's beside Slab; what a process has mapped is not.
KERNEL = ("KernelStack", "PageTables", "VmallocUsed", "Percpu")
# Caches that one end of a connection uses alone. The crowd waits by epoll(7)
# and has a port of its own for each; io_uring(7) is the server's, and with it
# come two more, which hardly grow in a server with epoll.
EPOLL = ("eventpoll_epi", "eventpoll_pwq", "ep_head")
CROWD_ALONE = (*EPOLL, "tcp_bind_bucket", "tcp_bind2_bucket")
RING_ALONE = ("io_kiocb", "kmalloc-512", "kmalloc-96", "kmalloc-cg-512",
              "kmalloc-cg-96")
# What is no connection's: entries of /proc that somebody has looked at, as what
# watches a machine does with each descriptor. Each has a dentry, as a socket
# has.
WATCHED, DENTRY = "proc_inode_cache", "dentry"
# Stages that wait by epoll, too: there, no end has it alone.
EPOLL_STAGES = ("stage3",)
THREADED_STAGES = ("stage1", "stage2")

SETTLE_SECONDS = 0.25
SETTLE_SECONDS_MOST = 5
SETTLED_SHARE = 0.001


def fields(file):
    """Of lines of `NAME: N kB`, in bytes."""
    found = {}
    for line in Path(file).read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    return found


def slab_caches():
    """Bytes of the objects that are in use in each cache, with their share of
    its pages, and how many they are; none where only root may know. What a
    cache keeps for the next ones does not count: it may be there from an
    earlier run."""
    caches, objects = {}, {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/slabinfo").read_text().splitlines()[2:]:
            words = line.split()
            pages = int(words[5]) * int(words[14])
            used, all_of_them = int(words[1]), max(int(words[2]), 1)
            caches[words[0]] = pages * mmap.PAGESIZE * used // all_of_them
            objects[words[0]] = used
    return caches, objects


def sockstat():
    """The line of TCP: `inuse`, `mem` (pages of data) and others."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()[1:]
            return dict(zip(words[::2], map(int, words[1::2])))
    return {}


def snapshot(server_pid):
    """Everything at one moment, in bytes."""
    system = fields("/proc/meminfo")
    server = fields(f"/proc/{server_pid}/smaps_rollup")
    kernel = {name: system.get(name, 0) for name in KERNEL}
    caches, objects = slab_caches()
    return {
        "server_rss": server["Rss"],
        "server_pss": server["Pss"],
        "kernel": kernel,
        "kernel_all": sum(kernel.values())
        + (sum(caches.values()) or system["Slab"]),
        "available": system["MemAvailable"],
        "caches": caches,
        "objects": objects,
        "sockets": sockstat(),
    }


def settled(server_pid):
    """A snapshot when what was on its way, and what the kernel frees later,
    is gone."""
    deadline = time.monotonic() + SETTLE_SECONDS_MOST
    last = snapshot(server_pid)
    while time.monotonic() < deadline:
        time.sleep(SETTLE_SECONDS)
        now = snapshot(server_pid)
        change = abs(now["kernel_all"] - last["kernel_all"])
        if change <= SETTLED_SHARE * last["kernel_all"]:
            return now
        last = now
    return last


def each_cache(before, after, members):
    """Bytes of a member in each cache that has grown, the largest first."""
    grown = {
        name: (size - before["caches"].get(name, 0)) / members
        for name, size in after["caches"].items()
    }
    kept = [(name, each) for name, each in grown.items() if each >= 1]
    return dict(sorted(kept, key=lambda pair: -pair[1]))


def watched(before, after):
    """Bytes by which WATCHED and its dentries have grown."""
    if WATCHED not in after["caches"]:
        return 0
    size = after["caches"][WATCHED] - before["caches"][WATCHED]
    count = after["objects"][WATCHED] - before["objects"][WATCHED]
    each = after["caches"][DENTRY] / max(after["objects"][DENTRY], 1)
    return max(size + count * each, 0)


def alone(caches, names):
    return sum(each for name, each in caches.items() if name in names)


def each_member(before, after, members, stage):
    """What one member takes."""
    caches = each_cache(before, after, members)
    others = watched(before, after)
    both = (after["kernel_all"] - before["kernel_all"] - others) / members
    with_epoll = stage in EPOLL_STAGES
    with_ring = stage not in EPOLL_STAGES + THREADED_STAGES
    crowds = alone(caches, set(CROWD_ALONE) - set(EPOLL * with_epoll))
    servers = alone(caches, RING_ALONE * with_ring)
    shared = both - crowds - servers
    return {
        "server_rss": (after["server_rss"] - before["server_rss"]) / members,
        "server_pss": (after["server_pss"] - before["server_pss"]) / members,
        "kernel_both_ends": both,
        "kernel_server_end": shared / 2 + servers,
        "kernel_others": others / members,
        "kernel_crowd_alone": crowds,
        "kernel_server_alone": servers,
        "machine": (before["available"] - after["available"]) / members,
        "kernel_parts": {
            name: (after["kernel"][name] - before["kernel"][name]) / members
            for name in KERNEL
        },
        "caches": caches,
        "socket_pages": after["sockets"].get("mem", 0)
        - before["sockets"].get("mem", 0),
        "sockets": after["sockets"].get("inuse", 0)
        - before["sockets"].get("inuse", 0),
    }
