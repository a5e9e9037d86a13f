"""The system calls by which a server passes messages on (`make trace STAGE=1`;
`CLIENTS=1000` for as many members).

Starts the program under strace, lets members meet, and has one of them say the
same messages twice: one by one, each heard by all before the next is said, and
all in one write. Counts the calls that the server begins from when all have met
until the last message is heard by all and nothing more is to be done for it;
what it takes to start, to let members in and to stop does not count.
"""

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from server import Server  # noqa: E402

MESSAGES = 200
LENGTH = 64
REST = 0.5  # seconds in which a server, even a traced one, comes to rest

# A call is told where it begins. Where others came in between, another line
# says `<... sendmsg resumed>`.
CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)


def traced(program, calls):
    """The command that runs a program and writes its calls to a file."""
    # -D: the program, not strace, is our child, and gets our signals.
    # raw: the arguments, which nobody reads, are not looked up.
    quick = ["-qq", "-e", "signal=none", "-e", "raw=all"]
    return ["strace", "-D", "-f", *quick, "-o", calls.name, *program]


def begun(calls):
    """How many calls of which name have begun since this was last asked."""
    time.sleep(REST)
    return Counter(CALL.findall(calls.read()))


def hear(members, lines):
    """Waits until every member has heard alice say the lines."""
    for member in members:
        heard = member.hear_messages("lobby", len(lines))
        assert heard == [f"alice: {line}" for line in lines], heard


def one_by_one(members, lines):
    for line in lines:
        members[0].say(line)
        hear(members, [line])


def in_a_burst(members, lines):
    members[0].say(*lines)
    hear(members, lines)


def count(program, size, messages, calls):
    """In a room of that size: the calls of each of the two conversations."""
    lines = [f"{n:0{LENGTH}}" for n in range(messages)]
    server = Server(traced(program, calls))
    server.wait_event("ready")
    try:
        members = [server.person("alice")]
        members += [server.person(f"bob-{n}") for n in range(1, size)]
        counts = []
        for converse in one_by_one, in_a_burst:
            begun(calls)
            converse(members, lines)
            counts.append(begun(calls))
    finally:
        server.dismiss()
    return counts


def print_row(name, counts, deliveries):
    cells = [f"{n:12,} {n / deliveries:13.4f}" for n in counts]
    print(f"{name:18}" + "".join(cells))


def print_table(counts, deliveries):
    """The calls that are most in the first conversation come first."""
    names = sorted(set().union(*counts))
    names.sort(key=lambda name: [c[name] for c in counts], reverse=True)
    print(f"{'':18}" + f"{'one by one':>26}{'in a burst':>26}")
    print(f"{'system call':18}" + f"{'calls':>12}  per delivery" * 2)
    for name in names:
        print_row(name, [c[name] for c in counts], deliveries)
    print_row("in all", [c.total() for c in counts], deliveries)


def main():
    program, size, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    deliveries = size * MESSAGES
    command = [program, "--listen", "text://127.0.0.1:0", *options]
    with tempfile.NamedTemporaryFile("r") as calls:
        counts = count(command, size, MESSAGES, calls)
    print(
        f"{Path(program).name}: {size:,} members, {MESSAGES} messages of "
        f"{LENGTH} bytes: {deliveries:,} deliveries"
    )
    print_table(counts, deliveries)


if __name__ == "__main__":
    main()
