"""One that does not read: whom it harms, and for how long."""

import re
import time

import pytest

from capabilities import STALL_OPTION
from client import WELCOME, is_error
from stalling import LINE, STALLED, flood, stall
from timing import PATIENCE, WAIT, together, until


def never_cut(stage):
    """Options under which only reading ends a stall."""
    return STALL_OPTION[stage], str(100 * WAIT)


@pytest.mark.capability("stalled_reader_harmless")
def test_stalled_reader_harms_nobody(start, stage):
    """The rule: "A member that reads too slowly slows nobody"."""
    server = start(*never_cut(stage))
    server.person("bob", "den", **STALLED)
    alice, cleo = server.person("alice", "den"), server.person("cleo", "den")
    flood(alice, "den", listeners=[cleo])


@pytest.mark.families("unix")
@pytest.mark.capability("stalled_reader_harmless")
def test_stalled_reader_keeps_nobody_out(start, stage):
    """Who comes while somebody stalls is welcomed, or told `server-full`
    "at once", as ever."""
    server = start(*never_cut(stage), "--max-connections", "3")
    stall(server)
    assert WELCOME.fullmatch(server.open().reply(PATIENCE))
    assert is_error(server.open().reply(PATIENCE), "server-full")


@pytest.mark.capability("lag_is_told")
def test_lag_is_told_truthfully(start, stage):
    """The rule: "When it falls behind by more than the room's window it is
    told how many messages it missed (`lagged`, only if it missed any) and goes
    on from the oldest message kept", and "is never sent part of a message, a
    message twice, or one out of order"."""
    server = start(*never_cut(stage), "--room-window", "256KiB")
    bob = server.person("bob", "den", **STALLED)
    alice = server.person("alice", "den")
    sent = flood(alice, "den")
    alice.say("last")
    heard, missed, line = [], 0, ""
    while line != "alice: last":
        line = bob.hear("den")
        lagged = re.fullmatch(r"\* lagged: (\d+) messages missed", line)
        if lagged:
            missed += int(lagged[1])
        elif line.startswith("alice: "):
            heard.append(line)
    numbers = [int(line.split()[1]) for line in heard[:-1]]
    assert numbers == sorted(set(numbers))
    assert missed > 0
    assert len(numbers) + missed == sent


@pytest.mark.capability("receiver_busy")
def test_receiver_busy(start, stage):
    """`receiver-busy`: "a private message to a session with over 256 KiB of
    unread replies and private messages"."""
    server = start(*never_cut(stage))
    server.person("bob", **STALLED)
    alice = server.person("alice")
    line = "* sent to bob"
    while line == "* sent to bob":
        alice.say("/msg bob " + LINE)
        line = alice.reply(PATIENCE)
    assert line.startswith("! receiver-busy")


def test_one_that_stalls_is_cut(start, stage):
    """A reader that takes nothing is disconnected in the end, and all the
    others go on where they were and have missed nothing."""
    seconds = PATIENCE
    server = start(STALL_OPTION[stage], str(seconds))
    bob = server.person("bob", "den", **STALLED)
    alice, cleo = server.person("alice", "den"), server.person("cleo", "den")
    flood(alice, "den", listeners=[cleo], patience=seconds + WAIT)
    alice.say("and on")
    assert cleo.hear_messages("den", 1) == ["alice: and on"]
    until(
        lambda: sorted(alice.ask_list("/who", "* end of who"))
        == ["* alice", "* cleo"],
        "bob is no member any more",
    )
    alice.say("/quit")
    assert alice.read_to_end().count("[den] * bob left") == 1
    bob.close()


def read_slowly(person, seconds):
    """Takes 100 KB a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert person.socket.recv(2000), "the server has closed"
        time.sleep(0.02)


@pytest.mark.families("tcp4")
@pytest.mark.capability("stalled_reader_harmless")
def test_one_that_reads_slowly_stays(start, stage):
    """Error 30 is for "queued output of which the peer took nothing in
    `--stall-timeout`": who takes some of it stays, though much more waits."""
    seconds = PATIENCE
    server = start(STALL_OPTION[stage], str(seconds))
    bob = server.person("bob", "den", **STALLED)
    alice = server.person("alice", "den")
    together(
        lambda: flood(alice, "den"),
        lambda: read_slowly(bob, 3 * seconds),
    )
    who = alice.ask_list("/who", "* end of who")
    assert sorted(who) == ["* alice", "* bob"]


def test_replies_wait_for_who_asked(start, stage):
    """The rule: "A session that does not read the replies it asks for is not
    read from until it does": then nothing is lost."""
    server = start(*never_cut(stage))
    alice = server.connect(**STALLED)
    texts = [f"{n} {LINE}" for n in range(6000)]
    requests = "".join(f"/echo {text}\n" for text in texts).encode()
    taken = send_until_blocked(alice.socket, requests)
    assert taken < len(requests), "nothing held the asker back"
    together(
        lambda: alice.send(requests[taken:]),
        lambda: alice.expect(*texts),
    )


def send_until_blocked(sock, data):
    """Sends until nothing has been taken for a while; returns how much."""
    sock.settimeout(PATIENCE / 4)
    sent = 0
    try:
        while sent < len(data):
            sent += sock.send(data[sent : sent + 65536])
    except TimeoutError:
        pass
    return sent
