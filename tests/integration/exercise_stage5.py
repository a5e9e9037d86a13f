"""The exercises of stage5-threads/README.md, as tests that fail until they are
solved (`make exercises STAGE=5`). `make test` leaves them out."""

import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from metered import figures, grown
from timing import WAIT

pytestmark = [pytest.mark.stages(5), pytest.mark.families("tcp4")]

TWO = ("--workers", "2", "--presence-limit", "0")
ROOMS = 32
LINES = 40
# What the server does once the last has been heard is over after this; where
# it has no processor for so long, two lines are as one, but not often.
CALM = 0.02
MOST = 0.75


def say_alone(speaker, *others):
    """One line to the lobby, and all is calm again when it is over."""
    speaker.say("a line")
    for member in (speaker, *others):
        member.hear_messages("lobby", 1)
    time.sleep(CALM)


# --- 1


def owner(client, *room):
    """Whose a room is, as `/owner` says, and whose the client is."""
    line = client.ask(" ".join(("/owner", *room)))
    said = re.fullmatch(r"\* (\S+) is at worker (\d+), you are at (\d+)", line)
    assert said, line
    assert said[1] == (room or ("lobby",))[0]
    return int(said[2]), int(said[3])


def test_1_whose_a_room_is(start):
    """`/owner [ROOM]` says `* ROOM is at worker N, you are at M`, of the
    current room without one, and also of a room that is not there yet."""
    server = start("--workers", "3")
    clients = [server.connect() for _ in range(3)]
    assert [owner(client)[1] for client in clients] == [0, 1, 2]
    names = [f"Room-{number}" for number in range(ROOMS)]
    owners = {name: owner(clients[0], name)[0] for name in names}
    assert set(owners.values()) == {0, 1, 2}
    for client in clients:
        for name in names:
            assert owner(client, name)[0] == owners[name]
            assert owner(client, name.lower())[0] == owners[name]
    clients[1].join(names[0])
    clients[1].say("/owner")
    assert f" is at worker {owners[names[0]]}, " in clients[1].reply()
    clients[0].say("/owner no/room")
    clients[0].expect_error("bad-name")


# --- 2


def test_2_letters(start):
    """At SIGUSR1, `event=letters requests=N answers=N woken=N` says how many
    letters all workers have sent, and how often one had to be woken for them.
    Lines said alone wake each time, many in one burst seldom."""
    server = start(*TWO)
    anna, bob = server.person("anna"), server.person("bob")
    for speaker, other in (anna, bob), (bob, anna):
        say_alone(speaker, other)
    before = figures(server, "letters")
    for _ in range(LINES):
        say_alone(anna, bob)
        say_alone(bob, anna)
    alone = grown(server, "letters", before)
    # Of one of the two each line is a POST; of both it is NEWS to one worker.
    assert LINES <= alone["requests"] <= 6 * LINES
    assert MOST * 2 * LINES <= alone["answers"] <= 6 * LINES
    assert MOST * 2 * LINES <= alone["woken"]
    assert alone["woken"] <= alone["requests"] + alone["answers"]
    before = figures(server, "letters")
    for speaker in anna, bob:
        speaker.say(*["a line"] * LINES)
        for member in anna, bob:
            member.hear_messages("lobby", LINES)
        time.sleep(CALM)
    burst = grown(server, "letters", before)
    assert LINES <= burst["requests"]
    assert burst["woken"] <= LINES / 2


# --- 3


def test_3_grace_periods(start):
    """At SIGUSR1, `event=grace periods=N us_max=N` says how many grace periods
    are over, and how long the longest of them has taken. A line that is said
    alone has one, which its owner finds over a millisecond later."""
    server = start(*TWO)
    anna, bob = server.person("anna"), server.person("bob")
    say_alone(anna, bob)
    before = figures(server, "grace")
    for _ in range(LINES):
        say_alone(anna, bob)
    after = figures(server, "grace")
    periods = after["periods"] - before["periods"]
    assert MOST * LINES <= periods <= 2 * LINES
    assert 1000 <= after["us_max"] < 1e6 * WAIT


# --- 4


@contextmanager
def traced(server, call, counts):
    """Counts the server's system calls of that name meanwhile."""
    strace = subprocess.Popen(
        ["strace", "-f", "-c", "-e", f"trace={call}", "-p", str(server.pid)],
        stderr=subprocess.PIPE, text=True,
    )
    assert "attached" in strace.stderr.readline()
    yield
    strace.send_signal(signal.SIGINT)
    for line in strace.communicate()[1].splitlines():
        if line.endswith(f" {call}"):
            counts.append(int(line.split()[3]))


def test_4_what_is_in_no_hurry(start):
    """That all have a line wakes nobody: a line of the owner's worker wakes
    once (NEWS), one of the other's twice (POST, NEWS), and now and then the
    answer to a SETTLE that the owner has found meanwhile does. With epoll a
    wake-up is a write(2), and there is no other."""
    server = start(*TWO, "--io", "epoll")
    anna, bob = server.person("anna"), server.person("bob")
    for speaker, other in (anna, bob), (bob, anna):
        say_alone(speaker, other)
    writes = []
    with traced(server, "write", writes):
        for _ in range(LINES):
            say_alone(anna, bob)
            say_alone(bob, anna)
    assert 2 * LINES <= sum(writes) <= 4.5 * LINES
    # Nor does anybody wait for what lies there, when people go or the server
    # stops.
    for client in anna, bob:
        client.say("/leave")
        assert client.reply() == "* left lobby"
    cleo, dave = server.person("cleo"), server.person("dave")
    say_alone(cleo, dave)
    server.signal(signal.SIGTERM)
    for client in anna, bob, cleo, dave:
        client.read_to_end()
        client.close()
    assert server.wait_exit() == 0


# --- 5


def served_by_first(server):
    """How many connections the epoll of worker 0, which alone has the
    signals, watches; and how many the others."""
    folder = Path(f"/proc/{server.pid}")
    kinds = {
        int(link.name): os.readlink(link) for link in folder.glob("fd/*")
    }
    [signals] = [fd for fd, kind in kinds.items() if "signalfd" in kind]
    counts = {True: 0, False: 0}
    for fd, kind in kinds.items():
        if "eventpoll" not in kind:
            continue
        info = (folder / f"fdinfo/{fd}").read_text()
        watched = {int(n) for n in re.findall(r"tfd:\s*(\d+)", info)}
        sockets = [n for n in watched if kinds.get(n, "").startswith("socket")]
        counts[signals in watched] += len(sockets)
    return counts[True], counts[False]


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="takes two processors"
)
def test_5_where_it_comes_in(start):
    """With --pin, who comes is dealt to the worker whose processor it comes in
    on (SO_INCOMING_CPU); over loopback that is the client's own. Without, to
    the one that has the fewest."""
    allowed = os.sched_getaffinity(0)
    server = start("--workers", "2", "--io", "epoll", "--pin")
    [first] = os.sched_getaffinity(server.pid)  # the thread that main runs in
    other = min(allowed - {first})
    with_first, with_other = served_by_first(server)
    try:
        for processor, count in (first, 5), (other, 3), (first, 1):
            os.sched_setaffinity(0, {processor})
            for _ in range(count):
                server.connect()
    finally:
        os.sched_setaffinity(0, allowed)
    now_first, now_other = served_by_first(server)
    assert now_first - with_first == 6
    assert now_other - with_other == 3
    unpinned = start("--workers", "2", "--io", "epoll")
    with_first, with_other = served_by_first(unpinned)
    for _ in range(6):
        unpinned.connect()
    now_first, now_other = served_by_first(unpinned)
    assert (now_first - with_first, now_other - with_other) == (3, 3)
