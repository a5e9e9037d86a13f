"""`ringchat --follow`: what is said in a room is a line of standard output as
soon as it comes, and nothing of it drives a terminal."""

import json
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress

import pytest

import proc
from ringchat import (
    INTERRUPTED, IO_ERROR, TEMPORARY, TERMINATED, UNAVAILABLE,
)
from timing import SLOW, WAIT

KINDS = ("text", "frame", "secure", "sealed")

# The client's own, whatever the server.
pytestmark = [pytest.mark.stages(5), pytest.mark.unfaulted]

LAGGED = re.compile(r"\[den\] \* lagged: (\d+) messages missed")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@pytest.fixture
def server(start_all):
    return start_all()


@pytest.fixture
def follow(ringchat, to):
    """A client that follows the room `den` and is in it."""

    def start_following(server, dialect, *arguments, **how):
        watcher = server.person("watcher", "den", dialect="text")
        client = ringchat("--follow", "den", "--nick", "fred", *arguments,
                          *to(server, dialect), **how)
        assert watcher.hear("den") == "* fred joined"
        return client

    return start_following


# --- lines


@pytest.mark.parametrize("dialect", KINDS)
def test_lines(server, follow, dialect):
    client = follow(server, dialect)
    alice = server.person("alice", "den", dialect="text")
    alice.say("hello, bob", " spaces ", "äöü 漢字")
    alice.say("/topic tea", "/msg fred psst", "/nick carol", "/leave")
    lines = [client.line() for _ in range(8)]
    private = lines.index("(private) alice: psst")
    del lines[private]  # no order is promised
    assert lines == [
        "[den] * alice joined",
        "[den] alice: hello, bob",
        "[den] alice:  spaces ",
        "[den] alice: äöü 漢字",
        "[den] * alice set the topic: tea",
        "[den] * alice is now carol",
        "[den] * carol left",
    ]
    client.signal(signal.SIGTERM)
    client.expect_end(TERMINATED)


@pytest.mark.parametrize("dialect", ["text", "frame"])
def test_several_rooms(server, ringchat, to, dialect):
    """These, and not the lobby."""
    alice = server.person("alice", "one", "two", dialect="text")
    client = ringchat("--follow", "one", "--follow", "two",
                      *to(server, dialect))
    for room in ("one", "two"):
        assert re.fullmatch(r"\* guest-\w+ joined", alice.hear(room))
    alice.say("/join lobby", "unheard", "/join one", "first", "/join two",
              "second")
    assert client.line() == "[one] alice: first"
    assert client.line() == "[two] alice: second"


def test_latency(server, follow, measured):
    """A line does not wait for another."""
    client = follow(server, "text")
    alice = server.person("alice", "den", dialect="text")
    client.line()
    took = []
    for number in range(20):
        begun = time.monotonic()
        alice.say(str(number))
        assert client.line() == f"[den] alice: {number}"
        took.append(time.monotonic() - begun)
    measured(f"a line follows in {sorted(took)[10] * 1000:.2f} ms")
    assert max(took) < 0.1 * SLOW


def test_a_long_line(server, follow):
    """It is shown so far, and the rest is counted."""
    client = follow(server, "secure")
    alice = server.person("alice", "den", dialect="secure")
    client.line()
    alice.say("x" * 100000)
    assert client.line() == f"[den] alice: {'x' * 16383}… 83617 bytes more"


# --- objects


@pytest.mark.parametrize("dialect", KINDS)
def test_json(server, follow, dialect):
    client = follow(server, dialect, "--json")
    alice = server.person("alice", "den", dialect="secure")
    alice.say("hello", "x" * 100000, "tab\tand \"quotes\" \\ äöü")
    alice.command("nick carol")
    alice.command("topic tea")
    alice.command("leave")
    numbered = dialect != "text"
    records = [json.loads(client.line()) for _ in range(8)]
    for record in records:
        assert re.fullmatch(TIME, record.pop("received"))
        if numbered and record["type"] == "message":
            assert re.fullmatch(TIME, record["time"])
        record.pop("time", None)
    long_text = ("sent text/plain; charset=utf-8 (100000 bytes)"
                 if dialect == "frame" else "x" * 100000)
    texts = ["hello", long_text, "tab\tand \"quotes\" \\ äöü"]
    messages = [
        {"type": "message", "room": "den", "nick": "alice", "text": text,
         **({"seq": seq} if numbered else {})}
        for seq, text in enumerate(texts, start=1)
    ]
    assert records[0]["type"] == "connected"
    assert records[0]["nick"] == "fred"
    assert records[1:] == [
        {"type": "joined", "room": "den", "nick": "alice"},
        *messages,
        {"type": "nick", "room": "den", "nick": "alice", "new_nick": "carol"},
        {"type": "topic", "room": "den", "nick": "carol", "text": "tea"},
        {"type": "left", "room": "den", "nick": "carol"},
    ]


# --- the other side of the pipe


def test_count(server, follow):
    client = follow(server, "frame", "--count", "2")
    alice = server.person("alice", "den", dialect="text")
    alice.say("one", "two", "three")
    out = client.process.stdout.read().decode().splitlines()
    assert out == ["[den] * alice joined", "[den] alice: one",
                   "[den] alice: two"]
    client.expect_end(0)


def test_head(server, follow):
    """When nobody reads any more it ends, without another line to tell."""
    client = follow(server, "text")
    head = subprocess.Popen(["head", "-n1"], stdin=client.process.stdout,
                            stdout=subprocess.PIPE)
    client.process.stdout.close()
    server.person("alice", "den", dialect="text")
    out, _ = head.communicate(timeout=WAIT)
    assert out == b"[den] * alice joined\n"
    client.expect_end(0)


def test_a_full_disk(server, follow):
    with open("/dev/full", "wb") as full:
        client = follow(server, "text", stdout=full)
    server.person("alice", "den", dialect="text")
    client.expect_end(IO_ERROR, b"standard output: No space left on device")


@pytest.mark.parametrize("dialect", ["text", "frame"])
def test_a_slow_reader(start_all, follow, dialect):
    """What it does not take is kept for a while, then counted as missed; the
    connection lives, since heartbeats are answered."""
    server = start_all("--heartbeat", "1", "--room-window", "64KiB")
    client = follow(server, dialect)
    alice = server.person("alice", "den", dialect="text")
    count = 6000
    for first in range(0, count, 50):
        alice.say(*(f"{n} " + "x" * 1000 for n in range(first, first + 50)))
        alice.hear_messages("den", 50)
    time.sleep(5.5)  # longer than four heartbeats, and than its patience
    heard, missed = [], 0
    assert client.line() == "[den] * alice joined"
    while len(heard) + missed < count:
        line = client.line()
        lagged = LAGGED.fullmatch(line)
        message = re.fullmatch(r"\[den\] alice: (\d+) x{1000}", line)
        assert lagged or message, line
        missed += int(lagged[1]) if lagged else 0
        heard += [int(message[1])] if message else []
    assert len(heard) + missed == count
    assert heard == sorted(set(heard)) and missed > 0
    alice.say("last")
    assert client.line() == "[den] alice: last"
    assert client.err == b""


# --- the connection


@pytest.mark.parametrize("dialect", ["text", "frame"])
def test_a_restart(launch, ringchat, dialect):
    """It comes back into the room, and says what may have been missed."""
    first = launch("--listen", "text://127.0.0.1:0",
                   "--listen", "frame://127.0.0.1:0")
    urls = [url for url in first.urls]
    listeners = [x for url in urls for x in ("--listen", url)]
    client = ringchat("--follow", "den", "--nick", "fred",
                      first.url_of(dialect))
    first.wait_event("joined", nick="fred", room="den")
    first.person("alice", "den", dialect="text").say("before")
    assert client.line() == "[den] * alice joined"
    assert client.line() == "[den] alice: before"
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    client.expect_said(b"shutdown")
    second = launch(*listeners)
    client.expect_said(b"connected again", 3 * WAIT)
    alice = second.person("alice", "den", dialect="text")
    alice.say("hello")
    lines = [client.line() for _ in range(3)]
    lagged = [line for line in lines if "may have been missed" in line]
    assert len(lagged) == 1
    lines.remove(lagged[0])
    assert lines == ["[den] * alice joined", "[den] alice: hello"]


def test_no_reconnect(server, follow):
    client = follow(server, "frame", "--no-reconnect")
    server.signal(signal.SIGTERM)
    client.expect_end(TEMPORARY, b"shutdown: the server is being stopped")
    assert server.wait_exit() == 0


def test_the_end_of_the_connection_is_an_object(server, follow):
    client = follow(server, "frame", "--json", "--no-reconnect")
    server.signal(signal.SIGTERM)
    kinds = [json.loads(client.line()) for _ in range(2)]
    assert [kind["type"] for kind in kinds] == ["connected", "disconnected"]
    assert kinds[1]["reason"].startswith("shutdown: ")
    client.expect_end(TEMPORARY)
    assert server.wait_exit() == 0


def test_the_last_words_are_written(server, follow):
    """However late they are read, when there is no connection any more."""
    client = follow(server, "text", "--no-reconnect")
    alice = server.person("alice", "den", dialect="text")
    alice.say(*(f"{n} " + "x" * 1000 for n in range(200)))
    alice.hear_messages("den", 200)
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    client.expect_said(b"shutdown")
    assert client.line() == "[den] * alice joined"
    for n in range(200):
        assert client.line() == f"[den] alice: {n} " + "x" * 1000
    client.expect_end(TEMPORARY, b"shutdown")


def test_it_does_not_begin(server, ringchat, to):
    server.person("alice", dialect="text")
    client = ringchat("--follow", "den", "--nick", "alice",
                      *to(server, "text"))
    client.expect_end(UNAVAILABLE, b"the nick alice is taken")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        client = ringchat("--follow", "den",
                          f"text://127.0.0.1:{taken.getsockname()[1]}")
        client.expect_end(UNAVAILABLE, b"Connection refused")


def test_interrupted(server, follow):
    client = follow(server, "text")
    client.signal(signal.SIGINT)
    client.expect_end(INTERRUPTED)


def test_what_is_ignored_stays_so(server, follow):
    """As by nohup(1)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        client = follow(server, "text")
    finally:
        signal.signal(signal.SIGHUP, before)
    client.signal(signal.SIGHUP)
    server.person("alice", "den", dialect="text")
    assert client.line() == "[den] * alice joined"
    client.signal(signal.SIGTERM)
    client.expect_end(TERMINATED)


# --- a server that means no good


class Evil:
    """A server that welcomes one text client, and then says what it likes."""

    WELCOME = b"* welcome to ringchat, you are guest-1a2b, in lobby; " \
              b"/help lists commands\n"

    def __init__(self, lines):
        self.lines = lines
        self.said = threading.Event()  # all of it has been taken
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"text://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        peer, _ = self.listener.accept()
        with suppress(ConnectionError), peer, peer.makefile("rwb") as stream:
            stream.write(self.WELCOME)
            stream.flush()
            for line in stream:
                if line.startswith(b"/echo "):
                    stream.write(line[len(b"/echo "):])
                elif line.startswith(b"/join "):
                    room = line.split()[1]
                    stream.write(b"* joined %s (1 members)\n" % room)
                elif line.startswith(b"/leave"):
                    stream.write(b"* left lobby\n" + b"".join(self.lines)
                                 + b"[den] alice: over\n")
                stream.flush()
                if line.startswith(b"/leave"):
                    self.said.set()

    def close(self):
        self.listener.close()
        self.thread.join()


EVIL = [
    b"\033]0;title\007", b"\033[2J\033[H", b"\033]52;c;aGk=\033\\", b"\x9b31m",
    b"\xc2\x9b31m", b"\033P+q\033\\", b"a\rb", b"a\bb", b"\033[c", b"\xff\xfe",
    b"\xed\xa0\x80", b"\0", b"\x7f", "\u202e\u2066".encode(), b"\xf0\x9f",
    "a\u2028b".encode(),
]


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["text", "json"])
def test_an_evil_server(ringchat, arguments):
    """Not a byte that drives a terminal comes out, wherever it stood."""
    forms = [
        b"[den] alice: %s\n", b"[den] %s: hi\n", b"[%s] alice: hi\n",
        b"(private) %s: hi\n", b"[den] * %s joined\n",
        b"[den] * alice is now %s\n", b"[den] * alice set the topic: %s\n",
        b"! %s\n", b"! bad-text %s\n",
        b"* %s\n", b"%s\n", b"[den] * lagged: %s messages missed\n",
    ]
    evil = Evil([form % what for form in forms for what in EVIL])
    client = ringchat("--follow", "den", *arguments, evil.url)
    said = [client.line()]
    while "over" not in said[-1]:
        said.append(client.line())
    client.signal(signal.SIGTERM)
    assert client.end() == TERMINATED
    evil.close()
    for line in (*said, *client.err.decode().split("\n")):
        assert not re.search(r"[\0-\x1f\x7f-\x9f]", line)
    for line in said:
        if arguments:
            json.loads(line)
        else:
            assert not re.search("[\u2028\u202e\u2066]", line)


def test_a_flood_of_what_was_missed(ringchat, sanitized):
    """While nobody reads: it is counted, not kept."""
    evil = Evil([b"[den] alice: " + b"x" * 1000 + b"\n"] * 3000
                + [b"[den] * lagged: 7 messages missed\n"] * 500000)
    client = ringchat("--follow", "den", evil.url)
    assert evil.said.wait(3 * WAIT)
    if not sanitized:
        assert proc.resident_bytes(client.process.pid) < 12 << 20
    client.signal(signal.SIGTERM)
    assert client.end() == TERMINATED
    evil.close()
