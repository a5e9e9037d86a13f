"""What interrupts the server itself: a stop, a stall, a cut within a line."""

import signal

import pytest

from capabilities import STALL_OPTION
from client import is_error
from stalling import stall
from timing import PATIENCE, WAIT


def test_stopped_and_continued(server):
    """Who stops the process and continues it (Ctrl-Z and `fg`) stops nobody's
    chat: only SIGTERM and SIGINT end the server."""
    alice, bob = server.person("alice"), server.person("bob")
    server.signal(signal.SIGSTOP)
    alice.say("said while nobody listened")
    server.signal(signal.SIGCONT)
    assert bob.hear_messages("lobby", 1) == ["alice: said while nobody listened"]
    assert alice.ask("/echo still here") == "still here"


def test_half_a_line_of_who_is_cut(start, stage):
    """What a connection that was cut off had begun to say is not said: only
    its own end of the stream makes a line of what has no end."""
    server = start(STALL_OPTION[stage], str(PATIENCE))
    cleo = server.person("cleo")
    stall(server, "/join lobby\nthis is half of a li")
    server.wait_event("disconnected", nick="bob")
    cleo.say("the last line")
    heard = []
    while heard[-1:] != ["cleo: the last line"]:
        heard += cleo.hear_messages("lobby", 1)
    assert heard == ["cleo: the last line"]


def test_stop_waits_for_who_reads_again(start, stage):
    """At a stop who stalls keeps nobody from being told, and is sent all that
    it is due if it reads again before the time is over."""
    server = start(
        STALL_OPTION[stage], str(10 * WAIT), "--drain-timeout", str(WAIT)
    )
    cleo = server.person("cleo")
    bob = stall(server)
    server.signal(signal.SIGTERM)
    cleo.expect_error("shutdown")
    assert is_error(bob.read_to_end()[-1], "shutdown")
    assert server.wait_exit() == 0


@pytest.mark.stages(1)
def test_silence_that_nobody_listened_to(start):
    """While a stalled reader holds everybody up nobody is read from, and so
    nobody is closed for having said nothing."""
    server = start(
        "--send-timeout", str(2 * PATIENCE), "--idle-timeout", str(PATIENCE)
    )
    cleo = server.person("cleo")
    stall(server)
    server.wait_event("disconnected", nick="bob", reason="send-timeout")
    reply = cleo.ask("/echo I was here")
    assert not is_error(reply, "timeout")
    assert reply == "I was here"
