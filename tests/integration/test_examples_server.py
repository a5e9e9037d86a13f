"""The servers of examples/, on both engines and with one worker or two: what
they say, in every dialect; that nobody harms them; and how they stop."""

import re
import signal
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest

from conftest import REPOSITORY
from example import Example
from test_no_ring import ALL, forbidding
from timing import SLOW, WAIT, until
from wire_frame import Type

DIALECTS = ("text", "frame", "secure", "sealed")
SCHEMES = ("text", "frame", "secure")
# Without io_uring they take epoll.
ENGINES = {"uring": (), "epoll": forbidding("EPERM", *ALL)}

engines = pytest.mark.parametrize("engine", ENGINES)
workers = pytest.mark.parametrize("workers", (1, 2))
dialects = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture
def example(pytestconfig):
    """Starts an example, with a listener at each URL; ends it after the test.
    """
    build = REPOSITORY / pytestconfig.getoption("--build-dir")
    with ExitStack() as examples:

        def start(name, *arguments, urls, engine="uring", last=()):
            command = (build / name, *arguments, *urls, *last)
            started = Example(*ENGINES[engine], *command)
            examples.callback(started.dismiss)
            started.await_urls(len(urls))
            return started

        yield start


@pytest.fixture
def echo(example, key_file):
    """Starts the echo server with a listener of each scheme."""

    def start(workers=1, engine="uring", urls=None):
        return example(
            "examples/echo", "-k", key_file, "-w", str(workers), engine=engine,
            urls=urls or [f"{scheme}://127.0.0.1:0" for scheme in SCHEMES],
        )

    return start


# --- echo


def converse(echo, dialect):
    client = echo.connect(dialect, "ann", "echo")
    client.say("hello", "and again")
    assert client.hear("echo") == "echo: hello"
    assert client.hear("echo") == "echo: and again"
    return client


@engines
@workers
@dialects
def test_echo(echo, engine, workers, dialect):
    """What is said comes back, to who has said it; `/echo` and its kin work as
    in the chat, and other commands there are none."""
    server = echo(workers, engine)
    clients = [converse(server, dialect)]
    clients += [server.connect(dialect, f"p{n}", "echo") for n in range(7)]
    for number, client in enumerate(clients):
        client.say(f"number {number}")
    for number, client in enumerate(clients):
        assert client.hear("echo") == f"echo: number {number}"
        assert not client.unheard("echo")
    server.stop()


@pytest.mark.parametrize("dialect", SCHEMES)
def test_echo_by_unix_sockets(echo, folder, dialect):
    path = folder / "socket"
    server = echo(urls=[f"{dialect}+unix://{path}"])
    assert path.stat().st_mode & 0o7777 == 0o660
    converse(server, dialect)
    server.stop()
    assert not path.exists()


def test_echo_commands(echo):
    client = converse(echo(2), "text")
    assert client.ask("/echo  as it is") == " as it is"
    assert client.ask("/time").startswith("* time ")
    client.say("/join den")
    client.expect_error("unknown-command")
    offered = client.ask_list("/help", "* /quit — leave the chat")
    assert [line.split()[1] for line in offered] == [
        "/help", "/time", "/ping", "/echo", "/nick", "/metrics", "/throughput",
    ]
    metrics = client.ask_list("/metrics", "* end of metrics")
    assert "* messages_total 2" in metrics
    client.say("/nick echo")
    client.expect_error("nick-in-use")
    client.say("/quit")
    client.expect("* bye")
    client.expect_end()


def test_echo_confirms(echo):
    """In place of ids there are ACKs, with the seq of what was said."""
    server = echo()
    for dialect in ("frame", "secure", "sealed"):
        client = server.connect(dialect, f"ann-{dialect}", "echo")
        client.say("one", id=7)
        assert (client.take_ack().id, client.hear("echo")) == (7, "echo: one")
        client.say("two", id=8, room="echo")
        ack = client.take_ack()
        assert (ack.id, ack.seq) == (8, 2)
        client.say("elsewhere", id=9, room="lobby")
        assert client.take(Type.ERROR).name == "no-such-room"


def test_echo_of_what_is_no_text(echo):
    """Bytes come back as they are, with their content type."""
    client = echo().connect("secure", "ann", "echo")
    client.send(
        client.make_message(b"\0PNG\n", content_type='image/x"y\\z')
    )
    heard = client.hear_event("echo")
    assert heard.content == b"\0PNG\n"
    assert heard.content_type == 'image/x"y\\z'


@engines
@workers
@dialects
def test_echo_of_a_thousand(echo, engine, workers, dialect):
    """A thousand messages at once, each confirmed, in order, while another is
    served."""
    server = echo(workers, engine)
    many = server.connect(dialect, "many", "echo")
    other = server.connect(dialect, "other", "echo")
    texts = [f"message {n} {'x' * (n % 200)}" for n in range(1000)]
    many.say(*texts)
    other.say("meanwhile")
    assert other.hear("echo") == "echo: meanwhile"
    assert [many.hear("echo") for _ in texts] == [
        f"echo: {text}" for text in texts
    ]
    server.stop()


def test_echo_confirms_a_thousand(echo):
    client = echo(2).connect("frame", "ann", "echo")
    for first in range(1, 1001, 100):
        ids = range(first, first + 100)
        client.send(b"".join(client.make_message("x", id=n) for n in ids))
        assert [client.take_ack().id for _ in ids] == list(ids)


@engines
def test_echo_and_bad_input(echo, engine):
    """Whoever sends nonsense hears what is wrong with it, or is closed; the
    others notice nothing."""
    server = echo(2, engine)
    witness = converse(server, "text")
    text = server.connect("text", "bob", "echo")
    text.say("x" * 5000)
    text.expect_error("line-too-long")
    text.say("bell \a")
    text.expect_error("bad-text")
    text.send(b"\xff\n")
    text.expect_error("bad-text")
    stranger = server.open("frame")
    stranger.send(b"GET / HTTP/1.1\r\n\r\n")
    assert stranger.read_to_end()[-1].name == "handshake"
    frame = server.connect("frame", "carol", "echo")
    frame.send(frame.make_unknown(Type.HEARTBEAT, b"short"))
    assert frame.read_to_end()[-1].name == "bad-frame"
    secure = server.connect("secure", "dora", "echo")
    secure.send(secure.make_message("x")[:-1] + b"y")
    assert secure.read_to_end()[-1].name in ("bad-crc", "bad-hmac")
    gone = server.connect("text", "erin", "echo")
    gone.say("something")
    gone.reset()
    witness.say("still here")
    assert witness.hear("echo") == "echo: still here"
    server.stop()


def test_echo_to_one_that_does_not_read(echo):
    """Who does not read is not read from: nothing is lost, and others are
    served."""
    server = echo(2)
    slow = server.connect("text", "slow", "echo", receive_buffer=4096)
    lines = [f"{n} {'x' * 3000}" for n in range(3000)]
    data = "".join(line + "\n" for line in lines).encode()
    slow.socket.setblocking(False)
    sent = 0
    for _ in range(200):
        try:
            sent += slow.socket.send(data[sent : sent + 65536])
        except BlockingIOError:
            time.sleep(0.005)
    assert sent < len(data)
    converse(server, "frame")
    whole = data[:sent].count(b"\n")
    for line in lines[:whole]:
        assert slow.hear("echo") == f"echo: {line}"
    server.stop()


@engines
@workers
def test_echo_drains(echo, engine, workers):
    """Told to stop, it sends everybody what they are due, says why it goes, and
    ends well; nobody is let in any more."""
    server = echo(workers, engine)
    clients = [server.connect("text", f"c{n}", "echo") for n in range(4)]
    frame = server.connect("frame", "fred", "echo")
    for client in clients:
        client.say(*[f"{n}" for n in range(100)])
        assert client.hear_messages("echo", 100)[-1] == "echo: 99"
    address = clients[0].socket.getpeername()
    server.signal()
    for client in clients:
        assert client.reply().startswith("! shutdown")
        client.expect_end()
    assert frame.take(Type.ERROR).name == "shutdown"
    assert server.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@engines
@workers
def test_echo_stops_at_once_when_told_twice(echo, engine, workers):
    """A peer that takes nothing is waited for, for five seconds; but not by who
    is told again."""
    server = echo(workers, engine)
    slow = server.connect("text", "slow", "echo", receive_buffer=4096)
    witness = server.connect("text", "witness", "echo")
    slow.say(*["x" * 4000 for _ in range(100)])
    time.sleep(0.5 * SLOW)
    server.signal()
    assert witness.reply().startswith("! shutdown")
    witness.expect_end()
    time.sleep(0.3)
    assert server.process.poll() is None
    begin = time.monotonic()
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert time.monotonic() - begin < 2 * SLOW


def test_echo_cannot_listen(echo, pytestconfig):
    """One line says where and why."""
    program = REPOSITORY / pytestconfig.getoption("--build-dir") / "examples/echo"

    def fail(*arguments):
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=WAIT
        )
        assert done.returncode == 1 and done.stdout == ""
        [line] = done.stderr.splitlines()
        return line

    url = echo(urls=["text://127.0.0.1:0"]).urls[0]
    assert fail(url) == f"echo: {url}: Address already in use"
    assert fail("secure://127.0.0.1:0") == (
        "echo: secure://127.0.0.1:0: needs a key"
    )
    assert fail("text://127.0.0.1:0", "text://x").startswith("echo: text://x: ")
    assert fail("-k", "/dev/null").startswith("echo: config: a key has ")
    assert fail("-w", "65") == "echo: config: more than 64 workers"


# --- dice


@engines
def test_dice(example, engine):
    """All who sit at the table hear each roll, and each has a total."""
    server = example(
        "examples/dice", urls=["text://127.0.0.1:0"], engine=engine
    )
    ann = server.connect("text", "ann", "dice")
    bob = server.connect("text", "bob", "dice")
    total = 0
    for dice, sides in ((1, 6), (2, 6), (9, 100), (99, 1)):
        ann.say(f"{dice}d{sides}")
        heard = ann.hear("dice")
        assert bob.hear("dice") == heard
        rolled = int(re.fullmatch(r"dice: ann rolls (\d+)", heard)[1])
        assert dice <= rolled <= dice * sides
        total += rolled
    assert ann.ask("/total") == f"* {total}"
    assert bob.ask("/total") == "* 0"
    for wrong in ("d6", "2d", "2d6 please", "-1d6", "1234d6", "hello", "/x"):
        bob.say(wrong)
        bob.expect_error("usage")
    assert not ann.unheard("dice")
    ann.close()
    bob.say("1d1")
    assert bob.hear("dice") == "dice: bob rolls 1"
    server.stop()


def test_dice_of_many(example):
    """Guests come, roll and go, and the table is right."""
    server = example("examples/dice", urls=["frame://127.0.0.1:0"])
    for turn in range(5):
        guests = [
            server.connect("frame", f"g{turn}-{n}", "dice") for n in range(20)
        ]
        for guest in guests:
            guest.say("1d1")
        rolls = sorted(f"dice: {guest.nick} rolls 1" for guest in guests)
        for guest in guests:
            assert sorted(guest.hear("dice") for _ in guests) == rolls
        for guest in guests[1:]:
            guest.disconnect()
        guests[0].close()
    last = server.connect("frame", "last", "dice")
    until(
        lambda: last.ask_list("metrics")[0] == "clients_active 1",
        "all have gone",
    )
    server.stop()


# --- a host


@engines
@workers
def test_host(example, engine, workers):
    """A server in a thread of a program that has names, signals and a umask of
    its own: none of that is touched."""
    server = example(
        "lib/host", urls=["text://127.0.0.1:0"], engine=engine,
        last=[str(workers)],
    )
    people = [server.connect("text", f"p{n}", "host") for n in range(5)]
    for client in people:
        client.say("hello")
        assert client.hear("host") == "host: hello"
    people[0].say("/quit")
    people[0].expect("* bye")
    people[1].close()
    server.process.stdin.close()
    for client in people[2:]:
        assert client.reply().startswith("! shutdown")
        client.expect_end()
    assert server.wait() == 0
    last = server.said.splitlines()[-1]
    assert last == b"5 came, 5 went, served, nothing changed"
