"""The exercises of stage1-blocking/README.md, as tests that fail until they
are solved (`make exercises STAGE=1`). `make test` leaves them out."""

import re

import pytest

from stalling import STALLED, flood, stall
from timing import PATIENCE, WAIT, Expired

pytestmark = [pytest.mark.stages(1), pytest.mark.families("tcp4")]


def test_1_uptime(server):
    """`/uptime` says `* up N s`, and /help lists it."""
    client = server.connect()
    assert re.fullmatch(r"\* up \d+ s", client.ask("/uptime"))
    client.say("/help", "/echo that was all")
    helped = client.replies_until("that was all")
    assert any(line.startswith("* /uptime — ") for line in helped)


def test_2_who_stalls_us(start):
    """A send that had to wait for over 100 ms is logged as `event=slow`, with
    the microseconds."""
    server = start("--send-timeout", "1")
    stall(server)
    event = server.wait_event("slow")
    assert int(event["us"]) >= 100_000


def test_3_other_rooms_go_on(start):
    """A reader that stalls in one room does not make another room wait."""
    server = start("--send-timeout", "60")
    carol, dave = server.person("carol", "tea"), server.person("dave", "tea")
    for member in (carol, dave):
        member.ask("/leave lobby")
    server.person("bob", "den", **STALLED)
    alice = server.person("alice", "den")
    with pytest.raises(Expired):
        flood(alice, "den", patience=PATIENCE / 2)
    carol.say("does this arrive?")
    assert dave.hear_messages("tea", 1, WAIT) == ["carol: does this arrive?"]
