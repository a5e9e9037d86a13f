"""The client of libringchat with servers that mean it no good: it is told the
right error, its memory stays bounded, and nothing of what they say could drive
a terminal."""

import random
import re
import time

import pytest

import proc
import wire_frame
from evil import Evil
from timing import SLOW, WAIT, until
from wire_frame import Type

MIB = 1 << 20
# What a client may take beyond what it begins with.
MEMORY_MAX = 6 * MIB
HASTY = (
    "--backoff-first", "10", "--backoff-max", "20", "--close-timeout", "50",
)
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
DIRTY = [
    b"\x1b[2J", b"\x1b]0;title\x07", b"a\rb", b"a\x00b", b"\xc2\x9b2J", b"\xff",
    b"\xc0\x8a", b"\x7f",
]


@pytest.fixture
def evil(request):
    servers = []

    def start(dialect):
        servers.append(Evil(dialect))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def strings_of(event):
    return [value for value in event.values() if isinstance(value, str)]


def meet(evil, drive, dialect, *options):
    """A server, a client of it that is open, and what the server has of it."""
    server = evil(dialect)
    client = drive(server.url, *HASTY, *options, dialect=dialect)
    peer = server.let_in()
    client.becomes("open")
    return server, client, peer


def still_talks(client, peer):
    """That it has come to no harm, and where it was."""
    client.from_here()
    peer.send(peer.message(b"good", nick="bob"))
    client.expect("message", nick="bob", text="good")


# --- what is said


@pytest.mark.parametrize("dirt", DIRTY, ids=ascii)
@pytest.mark.parametrize("dialect", ["text", "frame", "secure"])
def test_nothing_drives_a_terminal(evil, drive, dialect, dirt):
    """Control characters, and what is no UTF-8, in every field that there
    is; what can go on, goes on."""
    server, client, peer = meet(evil, drive, dialect)
    try:
        count = len(peer.saying(dirt))
    except UnicodeDecodeError:  # no JSON has it
        return
    for number in range(count):
        data = peer.saying(dirt)[number]
        peer.send(data + b"\n" if dialect == "text" else data)
        peer.send(peer.message(b"mark", nick="bob"))
        until(
            lambda: client.all("message", text="mark")
            or client.all("changed", to="waiting"),
            "it is heard, or it is the end",
        )
        if client.all("changed", to="waiting"):
            peer = server.let_in()
            client.becomes("open")
        client.events.clear()
        client.again()
    said = [text for event in client.events for text in strings_of(event)]
    assert not [text for text in said if CONTROL.search(text)]
    still_talks(client, peer)


def test_answers_to_nothing(evil, drive):
    """ACKs, replies and errors of ids that were never sent."""
    _, client, peer = meet(evil, drive, "frame")
    make = wire_frame.to_client
    for id in (0, 1, 2**32 - 1):
        peer.send(
            make(Type.ACK, id=id, seq=5)
            + make(Type.REPLY, id=id, more=0, text="what")
            + make(Type.ERROR, code=9, id=id, text="no-room")
        )
    still_talks(client, peer)
    assert client.all("done") == []
    assert len(client.all("fault", code="no-room")) == 3
    assert len(client.all("reply", ticket=0)) == 3


def test_the_same_answer_twice(evil, drive):
    _, client, peer = meet(evil, drive, "frame")
    ticket = client.ask("say - hi")
    message = peer.next_of(Type.MESSAGE)
    ack = wire_frame.to_client(Type.ACK, id=message.id, seq=5)
    peer.send(3 * ack)
    still_talks(client, peer)
    assert [e["ticket"] for e in client.all("done")] == [ticket]


def test_tokens_of_its_own_making(evil, drive):
    """In text: one that was not sent confirms nothing."""
    _, client, peer = meet(evil, drive, "text")
    client.ask("say - hi")
    peer.send(b"".join(b"~%d\n" % n for n in range(100, 200)))
    still_talks(client, peer)
    assert client.all("done") == []


# --- frames and lines that are none


@pytest.mark.parametrize("dialect", ["frame", "secure"])
def test_half_a_message(evil, drive, dialect):
    _, client, peer = meet(evil, drive, dialect)
    peer.send(peer.message(b"cut short")[:-3])
    peer.close()
    client.becomes("waiting", error="ECONNRESET")
    assert client.all("message") == []


def test_bad_frames(evil, drive):
    server, client, peer = meet(evil, drive, "frame")
    for data in (
        wire_frame.frame(Type.MESSAGE, b"too short"),
        wire_frame.frame(Type.ACK, bytes(13)),
        wire_frame.frame(Type.HEARTBEAT, b"\2" + bytes(8)),
        wire_frame.frame(Type.SESSION_ACK, b"\1\0"),
        wire_frame.frame(Type.WELCOME, b"\1"),
    ):
        peer.send(data)
        assert client.becomes("waiting")["code"] == "bad-frame"
        peer = server.let_in()
        client.becomes("open")
    peer.send(wire_frame.frame(Type.FILE_DATA, b"x") + wire_frame.frame(4711))
    still_talks(client, peer)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("dialect", ["text", "frame", "secure"])
def test_noise(evil, drive, dialect, seed):
    """After a greeting, or instead of one."""
    rng = random.Random(seed)
    server = evil(dialect)
    client = drive(server.url, *HASTY, "--attempts", "3", dialect=dialect)
    for _ in range(3):
        if client.all("changed", to="closed"):
            break
        peer = server.let_in() if rng.random() < 0.7 else server.accept()
        peer.send_what_it_takes(rng.randbytes(rng.choice([10, 1000, 100000])))
        peer.close()
        until(
            lambda: client.all("changed", to="waiting")
            or client.all("changed", to="closed"),
            "it is over",
        )
        client.events[:] = [
            e for e in client.events if e.get("to") != "waiting"
        ]


# --- secure


def test_wrong_key(evil, drive):
    """Before it was ever open there is no cure."""
    server = evil("secure")
    client = drive(server.url, *HASTY, dialect="secure")
    peer = server.accept()
    peer.init(hmac=bytes(32))
    assert client.becomes("closed")["code"] == "bad-hmac"


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({"hmac": bytes(32)}, "bad-hmac"),
        ({"magic": bytes(8)}, "bad-magic"),
        ({"version": 2}, "bad-version"),
        ({"header_crc": 1}, "bad-crc"),
        ({"content_crc": 1}, "bad-crc"),
        ({"header_length": 5000}, "too-large"),
        ({"content_length": 2**31}, "too-large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_genuine(evil, drive, wrong, code):
    """Nothing of it is told, and it comes back."""
    server, client, peer = meet(evil, drive, "secure")
    peer.send(peer.message(b"forged", wrong=wrong))
    assert client.becomes("waiting")["code"] == code
    assert client.all("message") == []
    peer = server.let_in()
    client.becomes("open")
    still_talks(client, peer)


def test_replay(evil, drive):
    """What was for it alone, twice; and another's."""
    server, client, peer = meet(evil, drive, "secure")
    said = peer.make(Type.REPLY, b"once", more=False)
    peer.send(said + said)
    assert client.becomes("waiting")["code"] == "replay"
    assert len(client.all("reply", text="once")) == 1
    peer = server.let_in()
    client.becomes("open")
    peer.send(said)
    assert client.becomes("waiting")["code"] == "replay"


@pytest.mark.parametrize("dialect", ["frame", "secure"])
def test_replay_in_a_room(evil, drive, dialect):
    """What a room was told is no session's, but has its place there."""
    server, client, peer = meet(evil, drive, dialect)
    first, second = peer.message(b"once"), peer.message(b"later")
    peer.send(first + second + first)
    assert client.becomes("waiting")["code"] == "replay"
    assert len(client.all("message", text="once")) == 1
    peer = server.let_in()
    client.becomes("open")
    still_talks(client, peer)


def test_in_the_clear(evil, drive):
    """A sealed session is sealed to its end."""
    server = evil("secure")
    client = drive(server.url, *HASTY, dialect="sealed")
    peer = server.accept()
    peer.greet()
    assert client.becomes("closed")["code"] == "bad-hmac"


# --- much of it


def memory(client):
    return proc.resident_bytes(client.process.pid)


@pytest.mark.unsanitized
@pytest.mark.parametrize("dialect", ["text", "frame", "secure"])
def test_flood(evil, drive, dialect):
    """Tens of megabytes of messages, and not a byte read by the server."""
    _, client, peer = meet(evil, drive, dialect, "--heartbeat", "60000")
    before = memory(client)
    for _ in range(20):
        peer.send(b"".join(peer.message(b"x" * 10000) for _ in range(100)))
        client.events.clear()
        client.again()
    still_talks(client, peer)
    assert memory(client) - before < MEMORY_MAX


@pytest.mark.unsanitized
def test_pings_without_end(evil, drive):
    """Whose pongs nobody takes."""
    _, client, peer = meet(evil, drive, "frame", "--heartbeat", "60000")
    before = memory(client)
    ping = wire_frame.to_client(Type.HEARTBEAT, kind=0, stamp=1)
    for _ in range(50):
        peer.send(20000 * ping)
    still_talks(client, peer)
    assert memory(client) - before < MEMORY_MAX


@pytest.mark.unsanitized
def test_line_without_end(evil, drive):
    """64 MiB of it: it is told once, and what comes behind it is heard."""
    _, client, peer = meet(evil, drive, "text")
    before = memory(client)
    for _ in range(64):
        peer.send(b"x" * MIB)
    assert memory(client) - before < MEMORY_MAX
    peer.send(b"\n")
    client.expect("fault", code="line-too-long")
    still_talks(client, peer)
    assert len(client.all("fault")) == 1


def test_long_lines(evil, drive):
    """As long a text as there may be, and one that is longer with all that
    can stand around it."""
    _, client, peer = meet(evil, drive, "text", "--message", "100000")
    peer.send(peer.message(b"x" * 100000))
    assert len(client.expect("message", nick="eve")["text"]) == 100000
    peer.send(peer.message(b"x" * 101000))
    client.expect("fault", code="line-too-long")
    still_talks(client, peer)


# --- and nothing of it


@pytest.mark.parametrize("dialect", ["text", "frame", "secure"])
def test_silence(evil, drive, dialect):
    """After it was let in, and after it was welcomed."""
    server = evil(dialect)
    client = drive(
        server.url, *HASTY, "--connect-timeout", "200", "--heartbeat", "50",
        dialect=dialect,
    )
    peer = server.accept()
    client.becomes("waiting", error="ETIMEDOUT")
    peer.expect_end()
    server.let_in()
    client.becomes("open")
    client.becomes("waiting", error="ETIMEDOUT")


def test_one_that_lets_nobody_in(evil, drive):
    """It is not hammered: each time the wait may be longer."""
    server = evil("text")
    client = drive(
        server.url, "--backoff-first", "20", "--backoff-max", "60000",
        "--close-timeout", "50",
    )
    end = time.monotonic() + 1.5 * SLOW
    server._listener.settimeout(0.1)
    while time.monotonic() < end:
        try:
            server.accept().close()
        except TimeoutError:
            pass
    waits = client.all("changed", to="waiting")
    assert [w["attempt"] for w in waits] == list(range(1, len(waits) + 1))
    assert all(w["retry_ms"] <= 20 * 2**n for n, w in enumerate(waits))
    assert len(waits) < 20


def test_nick_that_is_never_free(evil, drive):
    """An error as the answer to each name: it gives up, and tries later."""
    server = evil("frame")
    client = drive(
        server.url, *HASTY, "--nick", "ada", "--connect-timeout", "500"
    )
    peer = server.accept()
    peer.send(
        wire_frame.to_client(
            Type.SESSION_INIT, version=1, session=bytes(16), heartbeat=5,
            max_content=16384,
        )
        + 2 * wire_frame.to_client(Type.ERROR, code=6, id=0, text="nick-in-use")
    )
    assert client.becomes("waiting", WAIT)["code"] == "nick-in-use"
