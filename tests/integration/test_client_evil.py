"""ringchat and servers that mean ill: whatever they send, nothing drives the
terminal, keys are answered, memory is bounded."""

import threading
import time
from contextlib import ExitStack

import pytest

import proc
from capabilities import DIALECTS
from villain import Evil
from talking import talk  # noqa: F401
from timing import SLOW, WAIT, until
from wire_frame import Type

NEWEST = max(DIALECTS)
pytestmark = pytest.mark.stages(NEWEST)
spoken = pytest.mark.parametrize("dialect", DIALECTS[NEWEST])
PROTOCOL, UNAVAILABLE, LOST = 76, 69, 75

# What terminals obey: a title, the clipboard, questions of who it is and where
# the cursor stands, its own keys, colours by C1, overwriting, another screen.
PAYLOADS = [
    b"\x1b]0;OWNED\x07", b"\x1b]52;c;T1dORUQ=\x07", b"\x1b[c", b"\x1b[6n",
    b"\x1bP+q544e\x1b\\", b"\x9b31m", "\u009b31m".encode(), b"\rOWNED",
    b"\b\b\b\b\bOWNED", b"\x1b[2J", b"\x1b[?1049l", b"\x1b[?2004l\x07",
    b"\nOWNED", b"a\x00b", b"\xff\xfe", b"\xed\xa0\x80",
    "\u202eOWNED".encode(), "\u2066OWNED".encode(), "\u2028OWNED".encode(),
    "\u200bOWNED\u00ad".encode(), "e".encode() + "\u0301".encode() * 100,
    "\U000e0041\U000e007f".encode(),
]

# What of these must never be sent to a terminal.
FORBIDDEN = [
    b"\x1b]", b"\x1b[c", b"\x1b[6n", b"\x1bP", b"\x9b31m", b"\x07",
    b"\x1b[31m", b"\x00", b"\xff", b"\xed\xa0", *(
        character.encode() for character in
        "\u0085\u009b\u202e\u2066\u2028\u2029\u200b\u00ad\U000e0041"),
]


def check_raw(terminal):
    for sequence in FORBIDDEN:
        assert sequence not in terminal.raw, sequence
    assert terminal.screen.title == ""
    assert terminal.raw.count(b"\x1b[?1049h") == 1
    before_end = terminal.raw.split(b"\x1b[?1049l")
    assert len(before_end) <= 2, "it left its screen twice"


@pytest.fixture
def meet(talk, key_file):  # noqa: F811
    """A terminal at an evil server, which has let it in unless told."""
    with ExitStack() as servers:

        def start(dialect, *options, greeting=..., **how):
            server = Evil(dialect)
            servers.callback(server.close)
            key = ["--key-file", key_file] if dialect == "secure" else []
            alice = talk(*options, server.url, *key, nick="alice", **how)
            peer = server.accept(greeting)
            peer.server = server
            return alice, peer

        yield start


def answers_keys(alice, seconds=0.5):
    """What is typed is in the input line, soon."""
    typed = time.monotonic()
    alice.type("abc")
    alice.until(lambda: alice.input().endswith("abc"), "keys are answered")
    assert time.monotonic() - typed < seconds * SLOW
    alice.type("\x15")


# --- escapes


def events(dialect, payload):
    """Everything that can be said, with it in each field."""
    yield dialect.message(b"lobby", b"bob", payload)
    yield dialect.message(b"lobby", b"bob", b"before " + payload + b" after")
    yield dialect.message(b"lobby", payload, b"its nick")
    yield dialect.message(payload, b"bob", b"its room")
    yield dialect.private(b"bob", payload)
    yield dialect.private(payload, b"its nick")
    for kind in ("joined", "left", "nick", "topic"):
        yield dialect.notice(kind, b"lobby", payload, b"text")
        yield dialect.notice(kind, payload, b"bob", b"text")
        yield dialect.notice(kind, b"lobby", b"bob", payload)
    if dialect.scheme == "text":  # in the others that ends the connection
        yield dialect.notice("lagged", b"lobby", b"", payload)
    yield dialect.reply(payload)
    yield dialect.error(payload)


@spoken
def test_nothing_drives_the_terminal(meet, dialect):
    alice, peer = meet(dialect)
    alice.enter()
    for payload in PAYLOADS:
        peer.send(b"".join(events(peer.dialect, payload)))
    peer.send(peer.dialect.message(b"lobby", b"bob", b"the end"))
    alice.shows(r"bob: the end$")
    answers_keys(alice)
    alice.type("\x10\x10\x10")  # what else there is to be seen
    alice.resize(30, 10)
    alice.pump(0.1 * SLOW)
    check_raw(alice)


@spoken
def test_last_words(meet, dialect):
    alice, peer = meet(dialect)
    alice.enter()
    peer.send(peer.dialect.disconnect(b"".join(
        p for p in PAYLOADS if b"\n" not in p and b"\x00" not in p)))
    peer.close()
    alice.shows("connection lost")
    check_raw(alice)


def test_words_before_it_is_let_in(meet):
    """They do not keep the last room from being shown."""
    alice, peer = meet("text", "--join", "tea")
    peer.send(peer.dialect.message(b"lobby", b"bob", b"early")
              + peer.dialect.private(b"bob", b"psst"))
    peer.send(b"* joined tea (1 members)\n")
    alice.enter("tea")


@spoken
def test_messages_were_dropped(meet, dialect):
    alice, peer = meet(dialect)
    alice.enter()
    peer.send(peer.dialect.notice("lagged", b"lobby", b"", b"7"))
    alice.shows("── 7 messages were missed: they came faster")


@pytest.mark.parametrize("count", [b"\x1b[2J", b"9" * 30, b"", b"-1"], ids=repr)
def test_a_count_that_is_none(meet, count):
    alice, peer = meet("frame", "--no-reconnect")
    alice.enter()
    peer.send(peer.dialect.notice("lagged", b"lobby", b"", count))
    assert alice.wait() == PROTOCOL
    check_raw(alice)


@spoken
def test_first_words(meet, dialect):
    for payload in (PAYLOADS[0], PAYLOADS[5], PAYLOADS[7]):
        for field in ("nick", "room"):
            alice, peer = meet(dialect, greeting=None)
            peer.send(peer.dialect.greeting(**{field: payload}))
            peer.close()
            assert alice.wait() in (PROTOCOL, UNAVAILABLE)
            check_raw(alice)


# --- bytes that are none of the dialect


@spoken
def test_it_ends_anywhere_in_the_first_words(meet, dialect):
    server = Evil(dialect)
    greeting = server.dialect.greeting()
    server.close()
    for length in range(0, len(greeting), len(greeting) // 7):
        alice, peer = meet(dialect, greeting=None)
        peer.send(greeting[:length])
        peer.close()
        assert alice.wait() in (PROTOCOL, UNAVAILABLE, LOST)


@spoken
def test_it_never_answers(meet, dialect):
    alice, _ = meet(dialect, "--timeout", "1", greeting=None)
    alice.shows("connecting")
    answers_keys(alice)
    assert alice.wait() == UNAVAILABLE


@pytest.mark.parametrize("dialect, data", [
    ("text", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("text", b"\x16\x03\x01\x02\x00\x01"),
    ("frame", b"* welcome to ringchat, you are guest-1, in lobby\n"),
    ("frame", b"\xff\xff\xff\xff" * 1000),
    ("secure", b"* welcome to ringchat, you are guest-1, in lobby\n" * 9),
    ("secure", b"\x89RING\r\n\x1a" + b"\xff" * 500),
], ids=repr)
def test_another_protocol(meet, dialect, data):
    alice, peer = meet(dialect, greeting=None)
    peer.send(data)
    assert alice.wait() == PROTOCOL
    check_raw(alice)


@spoken
def test_half_a_message(meet, dialect):
    alice, peer = meet(dialect)
    alice.enter()
    message = peer.dialect.message(b"lobby", b"bob", b"this is not whole")
    peer.send(message[:len(message) - 5])
    answers_keys(alice)
    peer.send(message[len(message) - 5:])
    alice.shows(r"bob: this is not whole$")
    peer.send(peer.dialect.message(b"lobby", b"bob", b"cut")[:-2])
    peer.close()
    alice.shows("connection lost")
    answers_keys(alice)


WRONG = {
    "hmac": dict(wrong={"hmac": bytes(32)}),
    "crc of headers": dict(wrong={"header_crc": 7}),
    "crc of content": dict(wrong={"content_crc": 7}),
    "magic": dict(wrong={"magic": b"\x89RONG\r\n\x1a"}),
    "version": dict(wrong={"version": 2}),
    "length of headers": dict(wrong={"header_length": 70000}),
    "length of content": dict(wrong={"content_length": 1 << 31}),
    "session": dict(headers={"session": "0" * 8 + "-0000" * 3 + "-" + "1" * 12}),
    "replay": dict(headers={"seq": 1}),
    "a mistyped field": dict(headers={"code": "x"}),
    "deep": dict(headers={"deep": [[[[[[[]]]]]]]}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_signed_is_not_believed(meet, what):
    alice, peer = meet("secure", "--no-reconnect")
    alice.enter()
    peer.send(peer.dialect.make(Type.REPLY, id=0, more=0, text=b"good"))
    alice.shows(r"\* good$")
    peer.send(peer.dialect.make(Type.ERROR, code=4, id=0, text=b"FORGED",
                                **WRONG[what]))
    assert alice.wait() == PROTOCOL
    assert b"FORGED" not in alice.raw


def test_a_message_comes_twice(meet):
    alice, peer = meet("secure", "--no-reconnect")
    alice.enter()
    reply = peer.dialect.make(Type.REPLY, id=0, more=0, text=b"once")
    peer.send(reply + reply)
    assert alice.wait() == PROTOCOL
    assert alice.raw.count(b"once") <= 1
    assert b"replay" in alice.raw


def test_answers_to_nothing(meet):
    alice, peer = meet("frame")
    alice.enter()
    for id in range(2000):
        peer.send(peer.dialect.ack(id, 5) + peer.dialect.reply(b"x", id)
                  + peer.dialect.error(b"x", id=id))
    alice.say("hello")
    alice.shows(r"alice: hello$")
    peer.send(peer.dialect.ack(1) * 100)
    peer.send(peer.dialect.message(b"lobby", b"alice", b"I never said that"))
    alice.shows("I never said that")
    answers_keys(alice)


# --- much of it


def flood(peer, seconds, data):
    """Sends it again and again; in a thread of its own."""
    end = time.monotonic() + seconds

    def send():
        while time.monotonic() < end and peer.send(data):
            pass

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def resident(alice):
    return proc.resident_bytes(alice.process.pid)


FLOODS = {
    "messages": lambda d: b"".join(
        d.message(b"lobby", b"bob%d" % i, b"alice, message %d" % i)
        for i in range(500)),
    "long messages": lambda d: d.message(b"lobby", b"bob", b"x" * 60000) * 4,
    "joins": lambda d: b"".join(
        d.notice("joined", b"lobby", b"n%d" % i) for i in range(5000)),
    "nicks": lambda d: b"".join(
        d.notice("nick", b"lobby", b"n%d" % i, b"n%d" % (i + 1))
        for i in range(500)),
    "private messages": lambda d: b"".join(
        d.private(b"n%d" % i, b"psst") for i in range(500)),
    "rooms": lambda d: b"".join(
        d.message(b"r%d" % i, b"bob", b"hello") for i in range(500)),
    "replies": lambda d: d.reply(b"an answer to nothing") * 500,
    "errors": lambda d: d.error(b"an error of nothing") * 500,
    "marks": lambda d: d.message(
        b"lobby", b"bob", b"e" + "\u0301".encode() * 8000) * 10,
    "wide": lambda d: d.message(
        b"lobby", b"bob", "\U0001f468\u200d".encode() * 4000) * 10,
}


@pytest.mark.parametrize("what", FLOODS)
def test_floods(meet, what, sanitized):
    dialect = "text" if what != "nicks" else "frame"
    alice, peer = meet(dialect)
    alice.enter()
    flooding = flood(peer, 1.5, FLOODS[what](peer.dialect))
    time.sleep(0.3)
    for _ in range(3):
        answers_keys(alice, 1)
        alice.pump(0.2)
    if not sanitized:
        assert resident(alice) < 64 << 20
    alice.type("\x03")
    assert alice.wait(2 * SLOW) == 130
    assert alice.is_restored()
    peer.close()
    flooding.join()


def test_a_line_without_an_end(meet, sanitized):
    alice, peer = meet("text")
    alice.enter()
    peer.send(peer.dialect.message(b"lobby", b"bob", b"y" * 1000000))
    alice.shows(r"bytes more$")
    for _ in range(64):
        peer.send(b"x" * (1 << 20))
    answers_keys(alice, 1)
    if not sanitized:
        assert resident(alice) < 64 << 20
    peer.send(b"\n" + peer.dialect.message(b"lobby", b"bob", b"the end"))
    alice.shows(r"bob: the end$", 2 * WAIT)
