"""The exercises of stage4-uring/README.md, as tests that fail until they are
solved (`make exercises STAGE=4`). `make test` leaves them out."""

import re
import signal
import subprocess
import time

import pytest

from crowd import gather
from flooding import talk_before_being_let_in
from stalling import STALLED
from timing import PATIENCE, until

pytestmark = [pytest.mark.stages(4), pytest.mark.families("tcp4")]

LINES = 100
MEMBERS = 20


def figures(server, name):
    """The numbers of a new `event=NAME`, asked for by SIGUSR1."""

    def events():
        return [e for e in list(server.events) if e.get("event") == name]

    before = len(events())
    server.signal(signal.SIGUSR1)
    until(lambda: len(events()) > before, f"event={name}")
    return {
        key: int(value)
        for key, value in events()[-1].items()
        if value.isdigit()
    }


def grown(server, name, before):
    return {
        key: value - before[key]
        for key, value in figures(server, name).items()
    }


def test_1_what_a_turn_does(start):
    """At SIGUSR1, `event=ring turns=N orders=N completions=N` says how often
    the ring was entered to wait, what was ordered there, and what was said to
    be over. A line to twenty is twenty orders, all in one turn, and no
    completion but that of its arrival."""
    server = start("--presence-limit", "0")
    anna, *others = gather(server, MEMBERS * ["text"])
    before = figures(server, "ring")
    for number in range(LINES):
        anna.say(f"line {number}")
        for member in (anna, *others):
            assert member.hear("lobby").endswith(f"line {number}")
    ring = grown(server, "ring", before)
    assert LINES * MEMBERS <= ring["orders"] < 1.1 * LINES * MEMBERS
    assert LINES <= ring["completions"] < 2 * LINES
    assert LINES <= ring["turns"] < 4 * LINES


def test_2_why_a_receive_ends(start):
    """At SIGUSR1, `event=receives ended=N nobufs=N taken_back=N` says how many
    receives were over, how many of those because the pool was empty, and how
    many because we took them back. Most never are, before their connection."""
    server = start("--presence-limit", "0", "--stall-timeout", "0")
    gather(server, MEMBERS * ["text"])
    calm = figures(server, "receives")
    assert (calm["ended"], calm["nobufs"], calm["taken_back"]) == (0, 0, 0)
    for talker in talk_before_being_let_in(server):
        talker.expect_welcome()
        assert talker.reply().startswith("* joined ")
        assert talker.reply() == "done"
    assert grown(server, "receives", calm)["nobufs"] > 0

    before = figures(server, "receives")
    stalled = server.connect(**STALLED)
    stalled.say(*["/help"] * 10000)
    time.sleep(PATIENCE / 4)
    stalled.say("/echo and there is more", "/echo and more")
    until(
        lambda: grown(server, "receives", before)["taken_back"] > 0,
        "the receive is taken back",
    )
    stalled.close()


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
