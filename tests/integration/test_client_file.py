"""`ringchat file` and `... | ringchat`: each line arrives whole, in order and
confirmed, and the exit status says whether all have."""

import os
import pty
import random
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from itertools import permutations

import pytest

from capabilities import ALL_DIALECTS
from ringchat import (
    CONFIG, DATA, INTERRUPTED, NO_HOST, NO_INPUT, NO_PERMISSION, PROTOCOL,
    TEMPORARY, TERMINATED, UNAVAILABLE, USAGE,
)
from timing import SLOW, WAIT, together

BINARY = ("frame", "secure", "sealed")
# Connections that fail are what ends it: with faults it never comes far.
pytestmark = pytest.mark.unfaulted

LINES = 10000 // int(SLOW)
LINE_MAX = 4096


def made_up_lines(count, seed=1):
    """Of all kinds that a file may have, and some twice."""
    rng = random.Random(seed)
    kinds = [
        lambda n: f"line {n}",
        lambda n: f"/line {n}",
        lambda n: f"//line {n}",
        lambda n: f"  line {n} ",
        lambda n: f"\tline\t{n}",
        lambda n: f"Zeile {n}: äöü 漢字 👩‍🚀",
        lambda n: "the same",
        lambda n: " ",
        lambda n: f"[lobby] * bob joined {n}",
        lambda n: f"* {n}",
        lambda n: f"! no-room {n}",
    ]
    lines = [rng.choice(kinds)(n) for n in range(count)]
    for place in rng.sample(range(count), max(2, count // 500)):
        lines[place] = f"{place} " + "x" * (LINE_MAX - len(f"{place} "))
    return lines


@pytest.fixture
def messages(folder):
    """Writes lines to a file; returns where it is."""

    def write(lines):
        path = folder / "messages.txt"
        path.write_bytes("".join(line + "\n" for line in lines).encode())
        return path

    return write


def texts(heard):
    return [line.partition(": ")[2] for line in heard]


def hear(listener, count, room="lobby"):
    return texts(listener.hear_messages(room, count))


def expect_silence(listener, room="lobby"):
    """No message has come that was not heard."""
    assert listener.ask("/echo over") == "over"
    assert [x for x in listener.unheard(room) if not x.startswith("* ")] == []


def check_all_arrive(server, client, lines):
    listener = server.connect(dialect="text")
    started = client()
    heard = hear(listener, len(lines))
    started.expect_end(0)
    assert heard == lines
    expect_silence(listener)


# --- all arrive


def lines_for(family):
    """Of Unix sockets a tenth: they differ in addresses alone."""
    return made_up_lines(LINES if family == "tcp4" else LINES // 10)


@pytest.mark.families("tcp4", "unix")
def test_file(start_all, family, spoken, ringchat, to, messages):
    server = start_all(family=family)
    lines = lines_for(family)
    file = messages(lines)
    check_all_arrive(
        server, lambda: ringchat("file", file, *to(server, spoken)), lines
    )


@pytest.mark.stages(1, 5)
def test_window(start_all, spoken, ringchat, to, messages):
    """With more lines on their way they still come in order."""
    server = start_all()
    lines = made_up_lines(1000)
    file = messages(lines)
    check_all_arrive(
        server,
        lambda: ringchat("file", "--window", 64, file, *to(server, spoken)),
        lines,
    )


@pytest.mark.stages(1, 2, 5)
def test_a_rate(start_all, ringchat, to, messages):
    """A server that takes its time is waited for."""
    server = start_all("--rate", "500")
    lines = made_up_lines(700)
    file = messages(lines)
    check_all_arrive(
        server, lambda: ringchat("file", file, *to(server, "text")), lines
    )


# The rest is the client's own, whatever the server.
OWN = pytest.mark.stages(5)


@OWN
@pytest.mark.parametrize("data, expected, said", [
    (b"one\ntwo\n", ["one", "two"], b""),
    (b"one\ntwo", ["one", "two"], b""),
    (b"one\r\ntwo\r\n", ["one", "two"], b""),
    (b"\n\none\n\n", ["one"],
     b"1 line confirmed in 0.0 s, 3 empty ones skipped\n"),
    (b"", [], b""),
], ids=["lines", "no-last-lf", "crlf", "empty-lines", "empty"])
def test_pipe(start_all, ringchat, to, data, expected, said):
    server = start_all()
    listener = server.connect(dialect="text")
    client = ringchat(*to(server, "frame"), stdin=subprocess.PIPE)
    client.write(data)
    client.process.stdin.close()
    assert client.end() == 0
    assert re.sub(rb"\d\.\d s", b"0.0 s", client.err) == said
    assert hear(listener, len(expected)) == expected
    expect_silence(listener)


@OWN
def test_a_pipe_is_not_waited_for(start_all, ringchat, to):
    """Each line is sent as it comes; in between heartbeats are answered."""
    server = start_all("--heartbeat", "0.1")
    listener = server.connect(dialect="text")
    client = ringchat(*to(server, "frame"), stdin=subprocess.PIPE)
    for line in ("one", "two"):
        client.write(f"{line}\n".encode())
        assert hear(listener, 1) == [line]
        time.sleep(0.6)  # longer than four heartbeats
    client.process.stdin.close()
    client.expect_end(0)


@OWN
def test_dev_null(start_all, ringchat, to):
    server = start_all()
    ringchat(*to(server, "text")).expect_end(0)
    ringchat("file", "/dev/null", *to(server, "text")).expect_end(0)


@OWN
def test_a_room(start_all, ringchat, to, messages):
    """Lines go where --join says, and one is not in the lobby meanwhile."""
    server = start_all()
    listener = server.person("alice", "den", dialect="text")
    for dialect in ("text", *BINARY):
        client = ringchat("file", messages(["one"]), "--join", "den",
                          "--nick", "bob", *to(server, dialect))
        client.expect_end(0)
        assert listener.hear("den") == "* bob joined"
        assert listener.hear("den") == "bob: one"
        assert listener.hear("den") == "* bob left"


# --- not all arrive


@OWN
@pytest.mark.parametrize("dialect", ["text", "frame"])
@pytest.mark.parametrize("bad", [b"a\033[2Jb", b"\xff", b"o\rne"])
def test_a_line_that_is_no_text(start_all, ringchat, to, messages, dialect,
                                bad):
    """What is before it has arrived, and nothing after it."""
    server = start_all()
    listener = server.connect(dialect="text")
    lines = made_up_lines(30)
    file = messages(lines)
    data = file.read_bytes().split(b"\n")
    data[16] = bad
    file.write_bytes(b"\n".join(data))
    client = ringchat("file", file, *to(server, dialect))
    client.expect_end(DATA, b"messages.txt:17: no text", b"tail -n +17 ")
    assert hear(listener, 16) == lines[:16]
    expect_silence(listener)


@OWN
@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("dialect, longest, why", [
    ("text", LINE_MAX, b"line-too-long"),
    ("frame", 16384 - 4 - 1, b"too-large"),
    ("secure", 1048576, b"too long"),
])
def test_a_line_that_is_too_long(start_all, ringchat, to, messages, dialect,
                                 longest, why, window):
    server = start_all()
    listener = server.connect(dialect="text")
    lines = ["one", "x" * longest, "y" * (longest + 1), "four"]
    client = ringchat("file", messages(lines), "--window", window,
                      *to(server, dialect))
    if window == 1 or dialect == "secure":
        client.expect_end(DATA, b"messages.txt:3: " + why, b"tail -n +3 ")
        assert hear(listener, 2) == lines[:2]
    else:
        client.expect_end(DATA, b"messages.txt:3: " + why,
                          b"lines up to 4 behind it have arrived")
        assert hear(listener, 3) == [*lines[:2], "four"]
    expect_silence(listener)


def test_the_server_is_killed(start_all, spoken, ringchat, to, messages):
    """What was heard is a prefix, at most one line longer than what was
    confirmed; where to go on is told."""
    lines = made_up_lines(5000)
    file = messages(lines)
    server = start_all()
    listener = server.connect(dialect="text")
    client = ringchat("file", file, *to(server, spoken))
    heard = hear(listener, 100)
    server.signal(signal.SIGKILL)
    assert server.wait_exit() == -signal.SIGKILL
    client.expect_end(TEMPORARY, b"tail -n +")
    with suppress(AssertionError, ConnectionError):
        while True:
            heard += hear(listener, 1)
    first = int(re.search(rb"tail -n \+(\d+)", client.err)[1])
    assert heard == lines[: len(heard)]
    assert len(heard) <= first <= len(lines), client.err


# Of the first line or the second: what was heard may not be confirmed yet.
IN_DOUBT = (b"standard input:", b": sent, not confirmed: it may have arrived")


@OWN
@pytest.mark.parametrize("number, status", [
    (signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED),
])
def test_a_signal(start_all, ringchat, to, number, status):
    server = start_all()
    listener = server.connect(dialect="text")
    client = ringchat(*to(server, "frame"), stdin=subprocess.PIPE)
    client.write(b"one\n")
    assert hear(listener, 1) == ["one"]
    with server.stopped():
        client.write(b"two\n")
        time.sleep(0.2 * SLOW)
        client.signal(number)
        client.expect_end(status, *IN_DOUBT)


@OWN
def test_no_confirmation(start_all, ringchat, to, messages):
    server = start_all()
    listener = server.connect(dialect="text")
    client = ringchat("--timeout", SLOW, *to(server, "frame"),
                      stdin=subprocess.PIPE)
    client.write(b"one\n")
    assert hear(listener, 1) == ["one"]
    with server.stopped():
        client.write(b"two\n")
        client.expect_end(TEMPORARY, b"no confirmation in", *IN_DOUBT)


@OWN
def test_the_server_stops(start_all, ringchat, to):
    """While there is nothing to say, too."""
    server = start_all()
    listener = server.connect(dialect="text")
    client = ringchat(*to(server, "text"), stdin=subprocess.PIPE)
    client.write(b"one\n")
    assert hear(listener, 1) == ["one"]
    server.signal(signal.SIGTERM)
    client.expect_end(TEMPORARY, b"shutdown: the server is being stopped",
                      b" arrived")
    assert server.wait_exit() == 0


# --- it does not begin


@OWN
@pytest.mark.parametrize("dialect", ["text", *BINARY])
def test_a_nick_that_is_taken(start_all, ringchat, to, messages, dialect):
    server = start_all()
    listener = server.person("alice", dialect="text")
    client = ringchat("file", messages(["one"]), "--nick", "Alice",
                      *to(server, dialect))
    client.expect_end(UNAVAILABLE, b"the nick Alice is taken")
    expect_silence(listener)


@OWN
@pytest.mark.parametrize("dialect", ["secure", "sealed"])
def test_another_key(start_all, ringchat, to, messages, key_file, dialect):
    server = start_all()
    arguments = to(server, dialect)
    key_file.write_bytes(bytes(32))
    client = ringchat("file", messages(["one"]), *arguments)
    client.expect_end(PROTOCOL, b"bad-hmac: the key is not the server's")


@OWN
@pytest.mark.parametrize("said, really", permutations(ALL_DIALECTS, 2))
def test_another_dialect(start_all, ringchat, messages, key_file, said,
                         really):
    server = start_all()
    url = server.url_of(really).replace(really, said, 1)
    key = ["--key-file", key_file] if said == "secure" else []
    client = ringchat("file", messages(["one"]), "--timeout", SLOW, url, *key)
    client.expect_end(PROTOCOL, url.encode())


@OWN
def test_no_server(ringchat, messages, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        for url in (f"text://127.0.0.1:{port}", f"frame://127.0.0.1:{port}",
                    f"text+unix://{folder}/nothing"):
            client = ringchat("file", messages(["one"]), url)
            client.expect_end(UNAVAILABLE, url.encode())


@OWN
@pytest.mark.parametrize("arguments, status, said", [
    (["text://nowhere.invalid"], NO_HOST, b"nowhere.invalid"),
    (["http://127.0.0.1"], USAGE, b"not a URL"),
    (["127.0.0.1"], USAGE, b"not a URL"),
    (["--nonsense"], USAGE, b"--nonsense"),
    (["--nick", "a b"], USAGE, b"nick"),
    (["--join", "a b"], USAGE, b"room"),
    (["--seal"], USAGE, b"secure"),
    (["secure://127.0.0.1"], CONFIG, b"needs a --key-file"),
    (["secure://127.0.0.1", "--key-file", "/nowhere"], NO_INPUT, b"/nowhere"),
])
def test_what_cannot_be(ringchat, messages, arguments, status, said):
    client = ringchat("file", messages(["one"]), *arguments)
    client.expect_end(status, said)


@OWN
def test_no_file(ringchat, folder):
    ringchat("file", folder / "nothing").expect_end(NO_INPUT, b"nothing: No")
    ringchat("file", folder).expect_end(NO_INPUT, b"Is a directory")


@OWN
def test_a_key_file_that_is_none(ringchat, messages, key_file):
    arguments = ["file", messages(["one"]), "secure://127.0.0.1",
                 "--key-file", key_file]
    key_file.write_bytes(b"short")
    ringchat(*arguments).expect_end(CONFIG, b"a key has 32 to 4096 bytes")
    key_file.write_bytes(bytes(32))
    key_file.chmod(0o644)
    ringchat(*arguments).expect_end(NO_PERMISSION, b"0600")


# --- on a terminal


def read_pty(fd):
    """All that comes until the other side is closed."""
    said = b""
    with suppress(OSError):  # EIO: nobody has it open
        while data := os.read(fd, 65536):
            said += data
    return said


@OWN
def test_progress(start_all, ringchat_program, to, messages):
    """On a terminal standard error shows how far it is, in one row."""
    server = start_all("--rate", "500")
    lines = [f"line {n}" for n in range(1300)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [ringchat_program, "file", messages(lines), *to(server, "frame")],
        stdin=subprocess.DEVNULL, stderr=theirs,
    )
    os.close(theirs)
    said, status = together(lambda: read_pty(ours),
                            lambda: process.wait(4 * WAIT))
    os.close(ours)
    assert status == 0, said
    *shown, last = said.decode().split("\r\033[K")
    rows = re.findall(r"\r.*?messages\.txt  ([\d,]+) confirmed  (\d+) %  "
                      r"[\d,]+/s\033\[K", "".join(shown))
    assert len(rows) >= 2, said
    counts = [int(count.replace(",", "")) for count, _ in rows]
    assert counts == sorted(counts) and 0 < counts[-1] <= 1300
    assert re.fullmatch(r"1,300 lines confirmed in [\d.]+ s\r\n", last), said


@OWN
def test_nobody_reads_standard_error(start_all, ringchat_program, to, messages):
    """The exit status says how it ended all the same."""
    ours, theirs = os.pipe()
    os.close(ours)
    process = subprocess.Popen(
        [ringchat_program, "file", messages(["one", "t\1o"]),
         *to(start_all(), "frame")],
        stdin=subprocess.DEVNULL, stderr=theirs,
    )
    os.close(theirs)
    assert process.wait(4 * WAIT) == DATA


@OWN
def test_quiet(start_all, ringchat_program, to, messages):
    server = start_all()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [ringchat_program, "file", "--quiet", messages(["one", ""]),
         *to(server, "frame")],
        stdin=subprocess.DEVNULL, stderr=theirs,
    )
    os.close(theirs)
    said, status = together(lambda: read_pty(ours),
                            lambda: process.wait(4 * WAIT))
    os.close(ours)
    assert (status, said) == (0, b"")
