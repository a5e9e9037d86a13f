"""What it was measured on: the machine, the system, the compiler, the versions
of all that took part, and which Ringchat. What cannot be found out is null."""

import contextlib
import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from servers import PEERS, REPOSITORY

PACKAGES = {
    "liburing": "liburing2", "libsodium": "libsodium23",
    "jansson": "libjansson4", "libdeflate": "libdeflate0",
    "openssl": "libssl3", "glibc": "libc6", "gnuplot": "gnuplot-nox",
}
# One HMAC of a message of so many bytes, about what `secure` makes of one of
# 64: one process, by the library that the stages use.
HMAC_BYTES = 256
HMAC_COMMAND = (
    "openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(HMAC_BYTES),
    "-hmac", "sha256",
)
# +R:COUNT:WHAT:SECONDS
HMAC_RESULT = re.compile(r"^\+R:(\d+):.*:([\d.]+)$", re.MULTILINE)


def ask(*command):
    """What a command says in its first line; None if there is none."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY
    )
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def field(file, name):
    """Of a file of `NAME: VALUE` or `NAME=VALUE`, the first such value."""
    for line in Path(file).read_text().splitlines():
        key, _, value = line.replace("=", ":", 1).partition(":")
        if key.strip() == name:
            return value.strip().strip('"')
    return None


def cache():
    """The largest that a processor has, as the kernel tells of the first."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    found = [
        f"L{(index / 'level').read_text().strip()} "
        f"{(index / 'size').read_text().strip()}"
        for index in sorted(sizes)
        if (index / "type").read_text().strip() != "Instruction"
    ]
    return ", ".join(found) or None


def compiler(build):
    """The first word of what the programs were compiled with."""
    flags = build / "flags"
    words = flags.read_text().split() if flags.exists() else ["gcc"]
    return ask(words[0], "--version")


def text_of(file):
    with contextlib.suppress(OSError):
        return " ".join(Path(file).read_text().split())
    return None


def hypervisor():
    """Whether the processor says that it is one of a virtual machine."""
    return "hypervisor" in (field("/proc/cpuinfo", "flags") or "").split()


def mitigations():
    """Of the processor's faults, as the kernel was told when it started."""
    words = (text_of("/proc/cmdline") or "").split()
    given = [w for w in words if w.startswith("mitigations=")]
    return given[-1].partition("=")[2] if given else None


def hmac(cpu):
    """What it takes, and by which command that was found out."""
    command = ("taskset", "-c", str(cpu), *HMAC_COMMAND)
    each = None
    if shutil.which("openssl"):
        done = subprocess.run(
            command, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        found = HMAC_RESULT.search(done.stdout)
        each = float(found[2]) * 1e6 / int(found[1]) if found else None
    return {"us": each, "bytes": HMAC_BYTES, "command": shlex.join(command)}


def machine(build):
    return {
        "processor": field("/proc/cpuinfo", "model name")
        or platform.machine(),
        "processors": os.cpu_count(),
        "cache": cache(),
        "memory_bytes":
            int(field("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "kernel": platform.release(),
        "system": field("/etc/os-release", "PRETTY_NAME"),
        "compiler": compiler(build),
        "hypervisor": hypervisor(),
        "mitigations": mitigations(),
        **{
            name: text_of(f"/proc/sys/net/ipv4/{name}")
            for name in ("tcp_congestion_control", "tcp_rmem", "tcp_wmem")
        },
    }


def versions(with_peers):
    wanted = dict(PACKAGES)
    if with_peers:
        wanted.update({peer.title: peer.title for peer in PEERS})
    found = {
        name: ask("dpkg-query", "-W", "-f=${Version}\n", package)
        for name, package in wanted.items()
    }
    return {name: version for name, version in found.items() if version}


def ringchat():
    commit = ask("git", "rev-parse", "--short", "HEAD")
    return {"commit": commit, "dirty": bool(ask("git", "status", "-s"))}
