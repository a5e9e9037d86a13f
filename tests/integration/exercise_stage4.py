"""The exercises of stage4-uring/README.md, as tests that fail until they are
solved (`make exercises STAGE=4`). `make test` leaves them out."""

import re
import signal
import subprocess

import pytest

from crowd import gather
from metered import figures, grown

pytestmark = [pytest.mark.stages(4), pytest.mark.families("tcp4")]

LINES = 100
MEMBERS = 20
# More than stage 4 has large buffers, which are 64; and what fills many.
TALKERS = 300
TALK = b"\n" * 200_000


def test_1_what_a_turn_does(start):
    """At SIGUSR1, `event=ring turns=N orders=N completions=N` says how often
    the ring was entered to wait, what was ordered there, and what was said to
    be over. A line to twenty is twenty sends, all in one turn, and the receive
    that is ordered again."""
    server = start("--presence-limit", "0")
    anna, *others = gather(server, MEMBERS * ["text"])
    before = figures(server, "ring")
    for number in range(LINES):
        anna.say(f"line {number}")
        for member in (anna, *others):
            assert member.hear("lobby").endswith(f"line {number}")
    ring = grown(server, "ring", before)
    each = LINES * (MEMBERS + 1)
    assert each <= ring["orders"] < 1.1 * each
    assert each <= ring["completions"] < 1.1 * each
    assert LINES <= ring["turns"] < 4 * LINES


def test_2_when_the_pool_is_empty(start):
    """At SIGUSR1, `event=receives ordered=N nobufs=N` says how many receives
    have been ordered, and how many were over because the pool was empty. That
    takes more peers than there are buffers, who all have more to say than goes
    into one; none of it is lost."""
    server = start("--presence-limit", "0")
    talkers = gather(server, TALKERS * ["text"])
    calm = figures(server, "receives")
    assert calm["ordered"] >= TALKERS
    assert calm["nobufs"] == 0
    with server.stopped():
        for talker in talkers:
            talker.send(TALK + b"/echo done\n")
    for talker in talkers:
        assert talker.reply() == "done"
    receives = grown(server, "receives", calm)
    assert 0 < receives["nobufs"] < receives["ordered"]


def calls_while(server, deed):
    """The system calls that the server makes meanwhile, and how often."""
    strace = subprocess.Popen(
        ["strace", "-c", "-p", str(server.pid)],
        stderr=subprocess.PIPE, text=True,
    )
    assert "attached" in strace.stderr.readline()
    deed()
    strace.send_signal(signal.SIGINT)
    table = strace.communicate()[1]
    return {
        line.split()[-1]: int(line.split()[3])
        for line in table.splitlines()
        if re.match(r" *\d+\.\d+ .*[a-z]", line) and "total" not in line
    }


def test_3_one_call_a_turn(start):
    """A line to a room costs one io_uring_enter(2) and not two: what is sent
    goes out in the call that waits for what comes next, and when all of that
    has gone is known without a call of its own. (`make trace STAGE=4` says how
    it is before.)"""
    server = start("--presence-limit", "0")
    anna, *others = gather(server, MEMBERS * ["text"])

    def talk():
        for number in range(LINES):
            anna.say(f"line {number}")
            for member in (anna, *others):
                assert member.hear("lobby").endswith(f"line {number}")

    calls = calls_while(server, talk)
    assert LINES <= calls["io_uring_enter"] < 1.2 * LINES
    assert sum(calls.values()) < 1.3 * LINES
