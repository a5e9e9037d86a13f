"""As many silent members in one room as this machine allows (`make million
MEMBERS=100000`): starts the server, lets a crowd come, measures what each
member takes and how long a line is on its way to all of them, and writes
build/million/report.md and report.json.

Raises what limits it, where it may, and gives it back; comes to fewer members
rather than to the end of the memory. Exit status 0: measured, be they fewer;
1: it failed, 64: the options are wrong.
"""

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "compare"))

import machine  # noqa: E402
import million_limits as limits  # noqa: E402
import million_memory as memory  # noqa: E402
import servers  # noqa: E402
from figures import exact, number  # noqa: E402
from million_report import report  # noqa: E402
from servers import REPOSITORY, Candidate, Server, Trouble  # noqa: E402

TOGETHER = 256  # members on their way in
LINE_BYTES = 64
# A server's bound, far from what it needs: what is measured is what it takes.
MEMORY_MIB = 1024
MEMORY_MEMBER_BYTES = 8192
STEPS = 10  # parts in which the rate of joining is told
SHOW_SECONDS = 2
LEAVE_SECONDS = 120
REPETITIONS = 10
REPETITIONS_MANY = 5  # from so many members on:
MANY = 200_000


def say(text):
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Holder(Candidate):
    """A stage with the bounds that so many members take."""

    members: int = 0
    options: tuple = ()

    def command(self, cpu, scheme, port, key):
        mib = MEMORY_MIB + self.members * MEMORY_MEMBER_BYTES // (1 << 20)
        return [
            "taskset", "-c", cpu, self.program,
            "--listen", f"{scheme}://127.0.0.1:{port}",
            "--log-level", "error", "--idle-timeout", "0",
            "--max-connections", str(self.members + limits.SPARE // 2),
            "--max-memory", f"{mib}MiB", "--drain-timeout", "1",
            *self.options,
        ]


class Crowd:
    """The program, told by lines and telling by lines."""

    def __init__(self, program, cpu, port, members):
        self.command = [
            "taskset", "-c", cpu, str(program), str(port), str(members),
            limits.FIRST_SOURCE, str(limits.each_source()), str(TOGETHER),
        ]
        self.process = subprocess.Popen(
            self.command, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def tell(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self, event):
        """What it says until that has come, which is the last."""
        for line in self.process.stdout:
            said = json.loads(line)
            yield said
            if said["event"] == event:
                return
        raise Trouble(f"the crowd has ended: status {self.process.wait()}")

    def last(self, event):
        return [*self.hear(event)][-1]

    def __exit__(self, *_):
        """It closes its connections when its input ends."""
        try:
            self.process.stdin.close()
            self.process.wait(LEAVE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            pass
        finally:
            servers.end_group(self.process)


def processors():
    """The crowd has the last; the server all others, if there are any."""
    allowed = sorted(os.sched_getaffinity(0))
    server = ",".join(map(str, allowed[:-1])) or str(allowed[0])
    return server, str(allowed[-1])


# --- joining


def let_join(crowd, server, floor):
    """The moments (seconds, members, processor seconds of the server) of
    joining, its end, and why it ended early if it did."""
    moments, asked, shown = [(0.0, 0, servers.cpu_seconds(server.pid))], "", 0
    crowd.tell("join")
    for said in crowd.hear("joined"):
        moment = (said["seconds"], said["members"],
                  servers.cpu_seconds(server.pid))
        moments.append(moment)
        if time.monotonic() > shown + SHOW_SECONDS:
            shown = time.monotonic()
            say(f"{exact(moment[1])} members after {moment[0]:.1f} s")
        available = limits.available_bytes()
        if not asked and available < floor:
            asked = (f"memory: {number(available / 2**20)} MiB are available, "
                     "no less is to be")
            crowd.tell("stop")
    stopped = said["stopped_by"]
    why = asked if stopped == "asked to" else stopped
    tracked = limits.connections_tracked_out() if stopped else ""
    return moments, said, ": ".join(filter(None, [why, tracked]))


def at(moments, members):
    """The moment at which so many were there: (seconds, processor seconds),
    in proportion between two that are known."""
    for before, after in zip(moments, moments[1:]):
        if before[1] < members <= after[1]:
            part = (members - before[1]) / (after[1] - before[1])
            return (before[0] + part * (after[0] - before[0]),
                    before[2] + part * (after[2] - before[2]))
    return moments[0][0], moments[0][2]


def joining(moments, joined):
    """The rate, in all and in parts that are long enough to be told."""
    members, seconds = joined["members"], joined["seconds"]
    count = max(1, min(STEPS, len(moments) // 4))
    edges = [members * n // count for n in range(count + 1)]
    steps = []
    for low, high in zip(edges, edges[1:]):
        (begin, used), (end, used_then) = at(moments, low), at(moments, high)
        steps.append({
            "from": low, "to": high,
            "per_s": (high - low) / max(end - begin, 1e-9),
            "server_us": (used_then - used) * 1e6 / max(high - low, 1),
        })
    return {"seconds": seconds, "per_s": members / seconds, "steps": steps}


# --- hearing


def let_speak(crowd, server, repetitions):
    """What each line has come to: the first, and the others together."""
    lines = []
    for n in range(1 + repetitions):
        used = servers.cpu_seconds(server.pid)
        crowd.tell(f"say {LINE_BYTES}")
        heard = crowd.last("heard")
        heard["server_cpu_s"] = servers.cpu_seconds(server.pid) - used
        lines.append(heard)
        say(f"line {n}: the last of {exact(heard['heard'])} has it after "
            f"{number(heard['last_ms'])} ms")
        if heard["heard"] < heard["members"]:
            missing = heard["members"] - heard["heard"]
            raise Trouble(f"{exact(missing)} members have not heard a line")
    return lines[0], lines[1:]


def together(lines):
    times = ("first_ms", "p50_ms", "p99_ms", "last_ms")
    deliveries = sum(line["heard"] for line in lines)
    return {
        **{n: statistics.median(line[n] for line in lines) for n in times},
        "spread": {
            n: [min(line[n] for line in lines), max(line[n] for line in lines)]
            for n in times
        },
        "server_us":
            sum(line["server_cpu_s"] for line in lines) * 1e6 / deliveries,
        "own_us": sum(line["own_cpu_s"] for line in lines) * 1e6 / deliveries,
        "corrupted": sum(line["corrupted"] for line in lines),
        "lost": lines[-1]["lost"],
    }


# --- all of it


def measure(options, members, why):
    """The report. `why`: what does not allow more members than these."""
    server_cpu, crowd_cpu = processors()
    stage = servers.stage(options.program)
    holder = Holder(
        stage.name, stage.title, "stage", ("text",), stage.program,
        members=members, options=tuple(shlex.split(options.server_options)),
    )
    program = options.program.parent / "crowd"
    log = options.out / "server.log"
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    with Server(holder, "text", server_cpu, None, log) as server:
        with Crowd(program, crowd_cpu, server.port, members) as crowd:
            crowd.last("ready")
            made = ask(crowd, server, members, options, stage)
            commands = [server.command, crowd.command]
        wait_until_left(server)
    early = made.pop("stopped_by")
    return {
        "command": options.command, "when": when, "wanted": options.members,
        "limit": early or why, "server": stage.title,
        "machine": machine.machine(options.program.parent),
        "ringchat": machine.ringchat(),
        "commands": [shlex.join(c) for c in commands],
        "notes": notes(server_cpu, crowd_cpu), **made,
    }


def notes(server_cpu, crowd_cpu):
    if server_cpu == crowd_cpu:
        return ["There is but one processor: server and crowd share it."]
    return [f"The server is on processor {server_cpu}, the crowd on "
            f"{crowd_cpu}."]


def ask(crowd, server, members, options, stage):
    """What is measured of a crowd and a server that have just started."""
    empty = memory.settled(server.pid)
    floor = limits.floor_bytes(empty["available"], members)
    moments, joined, why = let_join(crowd, server, floor)
    present = joined["members"]
    if present == 0:
        raise Trouble(f"nobody could join: {why}")
    idle = memory.settled(server.pid)
    many = present >= MANY
    repetitions = options.repetitions or (
        REPETITIONS_MANY if many else REPETITIONS
    )
    first, lines = let_speak(crowd, server, repetitions)
    after = memory.settled(server.pid)
    return {
        "members": present, "stopped_by": why,
        "join": joining(moments, joined),
        "memory": memory.each_member(empty, idle, present, stage.name),
        "memory_after":
            memory.each_member(empty, after, present, stage.name),
        "line_bytes": LINE_BYTES, "repetitions": repetitions,
        "first": first, "heard": together(lines), "lines": lines,
    }


def wait_until_left(server):
    """Until the server has nothing more to do for those who have gone, so
    that it stops at once."""
    deadline = time.monotonic() + LEAVE_SECONDS
    used = servers.cpu_seconds(server.pid)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = servers.cpu_seconds(server.pid)
        if now == used:
            return
        used = now


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="million.py", description=__doc__.split("\n\n")[0]
    )
    add = parser.add_argument
    add("program", type=Path, help="the server; the crowd is beside it")
    add("--members", type=int, default=1_000_000)
    add("--server-options", default="", help="further ones, in one word")
    add("--repetitions", type=int, help="lines that are said")
    add("--out", type=Path, default=REPOSITORY / "build/million")
    add("--command", default=" ".join(sys.argv), help="how it was asked for")
    options = parser.parse_args(arguments)
    if not 1 <= options.members <= 1 << 27:
        parser.error("--members: at least 1")
    if options.repetitions is not None and options.repetitions < 1:
        parser.error("--repetitions: at least 1")
    options.program = options.program.resolve()
    options.out = options.out.resolve()
    return options


def run(options):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.out.mkdir(parents=True, exist_ok=True)
    with limits.Sysctls(say) as sysctls:
        members, why = limits.plan(options.members, sysctls)
        if members < 1:
            raise Trouble(f"there is no room for anybody: {why}")
        if members < options.members:
            say(f"{exact(members)} members instead of "
                f"{exact(options.members)}: {why}")
        made = measure(options, members, why)
    (options.out / "report.json").write_text(json.dumps(made, indent=1) + "\n")
    text = report(made)
    (options.out / "report.md").write_text(text)
    print(text)
    print(f"{servers.shown(options.out)}/report.md, .json")


def main(arguments):
    try:
        run(parse(arguments))
    except (Trouble, OSError) as error:
        say(f"million.py: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
