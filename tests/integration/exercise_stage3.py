"""The exercises of stage3-epoll/README.md, as tests that fail until they are
solved (`make exercises STAGE=3`). `make test` leaves them out."""

import os
import signal

import pytest

from stalling import stall
from timing import until

pytestmark = [pytest.mark.stages(3), pytest.mark.families("tcp4")]

LINES = 100


def loop_figures(server):
    """What a new `event=loop` says, asked for by SIGUSR1."""

    def loops():
        return [e for e in list(server.events) if e.get("event") == "loop"]

    before = len(loops())
    server.signal(signal.SIGUSR1)
    until(lambda: len(loops()) > before, "event=loop")
    return int(loops()[-1]["turns"]), int(loops()[-1]["events"])


def test_1_turns(start):
    """At SIGUSR1, `event=loop turns=N events=N` says how many turns there have
    been, and how many events in them. What is said in one burst takes few."""
    server = start()
    anna = server.person("anna")
    turns, events = loop_figures(server)
    anna.send(b"/echo hello\n" * LINES)
    anna.expect(*["hello"] * LINES)
    turns_after, events_after = loop_figures(server)
    assert 0 < turns < turns_after < turns + LINES / 2
    assert 0 < events < events_after < events + LINES / 2


def test_2_who_is_waited_for(start):
    """At SIGUSR1, `event=waiting connections=N` counts those that the kernel
    is asked to tell us about when they take bytes again."""
    server = start("--stall-timeout", "60")
    server.connect()
    server.signal(signal.SIGUSR1)
    server.wait_event("waiting", connections="0")
    stall(server)
    server.signal(signal.SIGUSR1)
    server.wait_event("waiting", connections="1")


def test_3_signals_without_a_descriptor(start):
    """There is no signalfd, no signal is lost, and none interrupts anything:
    epoll_pwait2(2) lets them in while it waits, and only then."""
    server = start()
    folder = f"/proc/{server.pid}/fd"
    kinds = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
    assert "anon_inode:[eventpoll]" in kinds
    assert "anon_inode:[signalfd]" not in kinds
    server.signal(signal.SIGUSR1)
    server.wait_event("metrics")
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
