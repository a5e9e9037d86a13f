"""Members of different dialects in the same rooms: what is said in one is
heard in all."""

import re
import threading
import time
from itertools import permutations

import pytest

import proc
from binary_client import line_of
from client import TextClient, is_error
from stalling import BATCH, LINE, STALLED
from test_stall import send_until_blocked
from timing import PATIENCE, SLOW, WAIT, together, until
from wire_frame import Type

pytestmark = pytest.mark.dialects("text", "frame", "secure")

KINDS = ["text", "frame", "secure", "sealed"]
BINARY = ["frame", "secure", "sealed"]
# One of each: nick and dialect.
PEOPLE = [("ann", "text"), ("bea", "frame"), ("cleo", "secure"),
          ("dora", "sealed")]
MAX_MESSAGE = 1048576


@pytest.fixture
def start(start_all):
    return start_all


@pytest.fixture
def people(server):
    """One of each dialect in a room, who have heard each other come."""
    members = [
        server.person(nick, "den", dialect=kind) for nick, kind in PEOPLE
    ]
    for number, member in enumerate(members, start=1):
        for nick, _ in PEOPLE[number:]:
            assert member.hear("den") == f"* {nick} joined"
    return members


def command(member, line):
    """A command in the member's dialect, with its one line of reply."""
    if isinstance(member, TextClient):
        return member.ask(f"/{line}").removeprefix("* ")
    return member.ask(line)


# --- order


def test_all_see_the_same(people):
    """The rule: "All members see the same messages in the same order",
    whatever they speak and whoever speaks."""
    count = 100  # fewer than a Unix socket holds unread, however short

    def talk(member):
        for number in range(count):
            member.say(f"message {number}")
        return member.hear_messages("den", count * len(people))

    heard, *others = together(*[lambda who=who: talk(who) for who in people])
    assert all(order == heard for order in others)
    for nick, _ in PEOPLE:
        own = [line for line in heard if line.startswith(f"{nick}:")]
        assert own == [f"{nick}: message {n}" for n in range(count)]


def test_all_see_the_same_numbers(people):
    """Each message "has a number in its room, `seq`, from 1, without gaps",
    and one time."""
    for member in people:
        member.say("one", "two")
        for other in people:
            other.hear_messages("den", 2)
    numbered = [
        [(m.seq, m.time, m.nick, m.text) for m in member.transcript
         if m.type == Type.MESSAGE]
        for member in people[1:]
    ]
    assert numbered[0] == numbered[1] == numbered[2]
    assert [seq for seq, *_ in numbered[0]] == list(range(1, 9))


def test_notices(people):
    """Presence and topic are told in each dialect."""
    for member in people:
        nick = member.nick
        member.become(f"{nick}x")
        command(member, f"topic {nick}'s")
        told = [f"* {nick} is now {nick}x",
                f"* {nick}x set the topic: {nick}'s"]
        for other in people:
            assert [other.hear("den") for _ in range(2)] == told
    for number, member in enumerate(people):
        member.close()
        for other in people[number + 1 :]:
            assert other.hear("den") == f"* {member.nick} left"


def test_private_messages(people):
    """From each to each, and to nobody else."""
    for sender, receiver in permutations(people, 2):
        said = f"msg {receiver.nick} psst {receiver.nick}"
        assert command(sender, said) == f"sent to {receiver.nick}"
        line = receiver.reply()
        assert line == f"(private) {sender.nick}: psst {receiver.nick}"
    for member in people:
        assert command(member, "echo on") == "on"


# --- content


def test_binary_content(people):
    """The rule: "Content that is not `text/*` reaches `text` and `frame`
    members as the text `sent CONTENT_TYPE (N bytes)`"."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    for sender in people[2:]:
        sender.say(content, content_type="image/png")
        for member in people:
            assert member.hear("den") == (
                f"{sender.nick}: sent image/png ({len(content)} bytes)"
            )
        for member in people[2:]:
            assert member.transcript[-1].content == content


def test_binary_content_in_private(people):
    """The same of a private message."""
    ann, bea, cleo, dora = people
    for receiver in ann, bea, dora:
        cleo.say(b"\x00\xff", to=receiver.nick, content_type="x/y")
        assert receiver.reply() == "(private) cleo: sent x/y (2 bytes)"
    assert dora.transcript[-1].content == b"\x00\xff"


def test_content_type_of_text(people):
    """Text that says what kind it is is text to all."""
    cleo = people[2]
    cleo.say("*hi* \u20ac", content_type="text/markdown")
    for member in people:
        assert member.hear("den") == "cleo: *hi* \u20ac"
    assert people[3].transcript[-1].content_type == "text/markdown"


def test_a_mebibyte(people):
    """To `text` members text is sent whole, "however long"; "text that does
    not fit a frame" is described to those of `frame`."""
    text = "é" * (MAX_MESSAGE // 2)
    told = {
        "bea": f"cleo: sent text/plain; charset=utf-8 ({MAX_MESSAGE} bytes)"
    }
    cleo = people[2]
    together(
        lambda: cleo.send(cleo.make_message(text, id=7)),
        *[lambda who=who: who.hear_messages("den", 1) for who in people[:2]],
        lambda: people[3].hear_messages("den", 1),
    )
    assert cleo.take_ack().id == 7
    assert cleo.hear("den") == f"cleo: {text}"
    for member in people[:2] + people[3:]:
        last = member.transcript[-1]
        line = last if member.nick == "ann" else f"[den] {line_of(last)}"
        assert line == f"[den] {told.get(member.nick, f'cleo: {text}')}"


def test_a_thousand_in_one_piece(people):
    """Many small ones, to all, in order."""
    count = 1000
    texts = [f"text {n}" for n in range(count)]
    dora = people[3]
    heard, *others = together(
        lambda: dora.say(*texts) or dora.hear_messages("den", count),
        *[lambda who=who: who.hear_messages("den", count)
          for who in people[:3]],
    )
    assert heard == [f"dora: {text}" for text in texts]
    assert all(order == heard for order in others)


# --- those who do not read


# What a Unix socket holds unread is far less than this.
FLOOD = 500
SMALL_WINDOW = ("--room-window", "64KiB", "--heartbeat", "0",
                "--stall-timeout", str(100 * WAIT))


def flood(speaker, listeners, count=FLOOD, patience=WAIT):
    """Says much, and hears it with the listeners; returns the lines."""
    lines = [f"{n} {LINE}" for n in range(count)]
    for first in range(0, count, BATCH):
        batch = lines[first : first + BATCH]
        speaker.say(*batch, seconds=patience)
        for member in (speaker, *listeners):
            heard = member.hear_messages("den", len(batch), patience)
            assert heard == [f"{speaker.nick}: {line}" for line in batch]
    return [f"{speaker.nick}: {line}" for line in lines]


def test_lag_is_told_truthfully(start):
    """A member that falls behind "is told how many messages it missed
    (`lagged`, only if it missed any) and goes on from the oldest message
    kept", in each dialect."""
    server = start(*SMALL_WINDOW, family="unix")
    slow = [server.person(nick, "den", dialect=kind) for nick, kind in PEOPLE]
    eve = server.person("eve", "den", dialect="frame")
    said = [*flood(eve, []), "eve: last"]
    eve.say("last")
    for member in slow:
        at, missed, line = 0, 0, ""
        while line != "eve: last":
            line = member.hear("den")
            lagged = re.fullmatch(r"\* lagged: (\d+) messages missed", line)
            if lagged:
                missed += int(lagged[1])
                at += int(lagged[1])
            elif not line.startswith("* "):
                assert line == said[at]
                at += 1
        assert 0 < missed < len(said)
        assert at == len(said)


def test_slow_consumer_disconnect(start):
    """With `--slow-consumer disconnect` "it is closed with error `lagged`
    instead", after what it had been sent."""
    server = start(*SMALL_WINDOW, "--slow-consumer", "disconnect",
                   family="unix")
    slow = [server.person(nick, "den", dialect=kind) for nick, kind in PEOPLE]
    eve = server.person("eve", "den", dialect="frame")

    said = threading.Event()

    def talk():
        lines = flood(eve, [])
        said.set()
        return lines

    def listen(member):
        """Reads, but too slowly."""
        while not said.is_set():
            member.sip(1000)
            time.sleep(0.01)
        return member.read_to_end()

    lines, *_ = together(talk, *[lambda who=who: listen(who) for who in slow])
    for member in slow:
        if member.nick == "ann":
            assert is_error(member.reply(), "lagged")
        else:
            member.expect_error("lagged")
        heard = [line for line in member.unheard("den") if line[0] != "*"]
        assert 0 < len(heard) < len(lines)
        assert heard == lines[: len(heard)]
    assert eve.ask_list("who den") == ["eve", "end of who"]


def test_stalled_reader_beside_a_hundred(start):
    """The rule: "A member that reads too slowly slows nobody"."""
    server = start(*SMALL_WINDOW, "--presence-limit", "0", family="unix")
    server.person("bob", "den", dialect="secure")
    lively = [
        server.person(f"nick{n}", "den", dialect=KINDS[n % len(KINDS)])
        for n in range(100)
    ]
    flood(lively[1], lively[:1] + lively[2:], count=120, patience=PATIENCE)


@pytest.mark.parametrize("kind", ["frame", "sealed"])
def test_stall_timeout(start, kind):
    """`timeout`: "queued output of which the peer took nothing in
    `--stall-timeout`"; the others are told that it left."""
    seconds = 0.5 * SLOW
    server = start("--stall-timeout", str(seconds), "--heartbeat", "0",
                   family="unix")
    server.person("bob", "den", dialect=kind)
    alice = server.person("alice", "den", dialect="frame")
    flood(alice, [], count=100)
    event = server.wait_event("disconnected", nick="bob")
    assert event["reason"] == "timeout"
    assert float(event["seconds"]) > seconds * 0.9
    line = ""
    while line != "* bob left":
        line = alice.hear("den")


@pytest.mark.parametrize("kind", BINARY)
def test_receiver_busy(start, kind):
    """`receiver-busy`: "a private message to a session with over 256 KiB of
    unread replies and private messages"; an ERROR with the id of it."""
    server = start(*SMALL_WINDOW, family="unix")
    server.person("bob", dialect=kind)
    alice = server.person("alice", dialect="frame")
    busy = None
    while not busy:
        number = alice.command(f"msg bob {LINE}")
        answer = alice.take_next()
        assert answer.id == number
        busy = answer.type == Type.ERROR
    assert answer.name == "receiver-busy"
    alice.send(alice.make_message(LINE, to="bob", id=7))
    alice.expect_error("receiver-busy", 7)


def test_slow_reader_of_replies(start):
    """The rule: "A session that does not read the replies it asks for is not
    read from until it does": then nothing is lost."""
    server = start(*SMALL_WINDOW, family="unix")
    alice = server.connect(dialect="secure")
    texts = [f"{n} {LINE}" for n in range(500)]
    requests = b"".join(
        alice.make_command(f"echo {text}", n)
        for n, text in enumerate(texts, start=1)
    )
    taken = send_until_blocked(alice.socket, requests)
    assert taken < len(requests), "nothing held the asker back"
    together(
        lambda: alice.send(requests[taken:]),
        lambda: alice.expect(*texts),
    )


def test_who_reads_late_gets_all(start):
    """What fits the window is all there, in each dialect."""
    server = start("--heartbeat", "0")
    slow = [server.person(nick, "den", dialect=kind) for nick, kind in PEOPLE]
    eve = server.person("eve", "den", dialect="frame")
    said = flood(eve, [], count=100)
    for member in slow:
        assert member.hear_messages("den", len(said)) == said


def test_memory_is_the_slow_ones_to_lose(start):
    """When memory runs short a room keeps less for those who do not read; who
    waits for each of its messages to come back notices nothing."""
    server = start(
        "--heartbeat", "0", "--max-memory", "8MiB", "--room-window", "4MiB"
    )
    server.person("slow", "den", dialect="secure", **STALLED)
    eve = server.person("eve", "den", dialect="secure")
    for number in range(60):
        text = str(number).ljust(300_000, "x")
        eve.send(eve.make_message(text))
        assert eve.hear_messages("den", 1) == [f"eve: {text}"]


# --- nothing is left


def test_many_come_and_go(server):
    """A session that ended keeps no thread, no descriptor, no room."""
    pid = server.pid
    before = proc.threads(pid), proc.descriptors(pid)
    for number in range(120):
        client = server.person(
            f"nick{number}", f"room{number}", dialect=BINARY[number % 3]
        )
        client.say("hello")
        if number % 4 == 0:
            client.disconnect()
        elif number % 4 == 1:
            client.reset(client.make_message("half")[:-1])
        elif number % 4 == 2:
            client.send(client.make_unknown(Type.WELCOME))
        client.close()
    until(
        lambda: (proc.threads(pid), proc.descriptors(pid)) == before,
        "no thread and no descriptor is left",
    )
    alice = server.connect(dialect="frame")
    assert alice.ask_list("rooms") == ["room lobby 1 members", "end of rooms"]
