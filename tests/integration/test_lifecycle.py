"""How sessions begin and end, and that nothing of them is left."""

import select
import shlex
import signal
import subprocess
import time

import pytest

import proc
from client import WELCOME
from flooding import nc
from timing import SLOW, WAIT, together, until

# --- the end of the stream


def test_nc(server):
    """The rule: "After a half-close (`nc -N`, a shell pipe) the server answers
    what it has read, sends what is queued, then closes"."""
    done = subprocess.run(
        nc(server.urls[0]),
        input="/nick alice\nhello\n/echo no end of line",
        capture_output=True,
        text=True,
        timeout=WAIT,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert WELCOME.fullmatch(lines[0])
    assert [line for line in lines[1:] if line[0] != "["] == [
        "* you are now alice",
        "no end of line",
    ]
    assert lines.count("[lobby] alice: hello") == 1


def test_shell_pipe(server):
    """The same from a shell pipe, with a listener in the room."""
    bob = server.person("bob")
    command = f"seq 1 1000 | {shlex.join(nc(server.urls[0]))}"
    done, heard = together(
        lambda: subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=WAIT
        ),
        lambda: bob.hear_messages("lobby", 1000),
    )
    welcome, *told = done.stdout.splitlines()
    nick = WELCOME.fullmatch(welcome)[1]
    assert heard == [f"{nick}: {n}" for n in range(1, 1001)]
    assert told == [f"[lobby] {line}" for line in heard]
    assert bob.hear("lobby") == f"* {nick} left"


def test_half_close_at_once(server):
    """Who has nothing to say is welcomed and let go."""
    alice = server.open()
    alice.half_close()
    alice.expect_welcome()
    alice.expect_end()


def test_quit_comes_last(server):
    """The rule: "What a session sent before `/quit`, DISCONNECT or the end
    of its stream is in its room, and has been sent back to it (or reported as
    `lagged`), before the server closes"; `* bye`, "then closed"."""
    alice, bob = server.person("alice", "den", "pub"), server.person("bob")
    bob.join("den")
    alice.say(
        *[f"pub {n}" for n in range(100)],
        "/join den",
        *[f"den {n}" for n in range(100)],
        "/msg bob so long",
        "/quit",
    )
    lines = alice.read_to_end()
    assert lines[-1] == "* bye"
    for room in ("pub", "den"):
        heard = [line for line in lines if line.startswith(f"[{room}] alice")]
        assert heard == [f"[{room}] alice: {room} {n}" for n in range(100)]
    heard = bob.hear_messages("den", 100)
    assert heard == [f"alice: den {n}" for n in range(100)]
    assert bob.hear("den") == "* alice left"
    bob.expect("(private) alice: so long")


def test_reset_within_a_line(server):
    """A line counts when it ends, or at "the client's end of file"; a reset
    is neither. The session is gone, and only that."""
    alice, bob = server.person("alice"), server.person("bob", "den")
    alice.join("den")
    alice.say("whole")
    alice.reset(b"half")
    assert [bob.hear("den") for _ in range(3)] == [
        "* alice joined",
        "alice: whole",
        "* alice left",
    ]
    assert bob.ask("/echo on") == "on"


def test_reset_while_being_told(server):
    """A peer that goes while much is on its way to it harms nobody."""
    bob = server.person("bob", "den")
    for _ in range(20):
        alice = server.person("alice", "den")
        alice.say(*["x" * 1000] * 20)
        alice.reset()
        while bob.hear("den") != "* alice left":
            pass
    assert bob.ask("/echo on") == "on"


# --- time-outs


def test_idle_timeout(start):
    """`timeout`: "no line in --idle-timeout"; it closes. Who only listens
    sends no line either."""
    seconds = 0.5 * SLOW
    server = start("--idle-timeout", str(seconds))
    begin = time.monotonic()
    alice = server.connect()
    alice.expect_error("timeout")
    alice.expect_end()
    assert time.monotonic() - begin > 0.9 * seconds


def test_bytes_are_not_a_line(start):
    """Bytes that never become a line do not keep a session."""
    server = start("--idle-timeout", str(0.5 * SLOW))
    alice = server.connect()

    def answered():
        alice.send(b"x")
        return select.select([alice.socket], [], [], 0)[0]

    until(answered, "one that sends no line is told something")
    alice.expect_error("timeout")
    alice.expect_end()


def test_lines_keep_a_session(start):
    """Each line begins the time anew, an empty one too."""
    server = start("--idle-timeout", str(0.5 * SLOW))
    alice = server.connect()
    for _ in range(10):
        alice.say("")
        time.sleep(0.1 * SLOW)
    assert alice.ask("/echo here") == "here"
    alice.expect_error("timeout")


# --- limits


def expect_full(client):
    """`server-full` "instead of SESSION_INIT or the welcome"; it closes."""
    client.expect_error("server-full")
    client.expect_end()


def test_max_connections(start):
    """`--max-connections`: "beyond it `server-full`, at once", and room
    again when one has gone."""
    server = start("--max-connections", "3")
    people = [server.connect() for _ in range(3)]
    for _ in range(5):
        expect_full(server.open())
    assert people[0].ask("/echo undisturbed") == "undisturbed"
    people[2].close()
    server.wait_for_room()


def test_full_for_one_that_talks(start):
    """The rule: "so that a reset does not overtake the error": here too."""
    server = start("--max-connections", "1")
    server.connect()
    for _ in range(20):
        client = server.open()
        client.say("/nick alice", "hello " * 100)
        expect_full(client)


def test_full_for_many_that_stay(start):
    """The rule: "at once", to each of them, even if none of them goes away."""
    server = start("--max-connections", "1")
    server.connect()
    crowd = [server.open() for _ in range(200)]
    for client in crowd:
        expect_full(client)


@pytest.mark.families("tcp4", "tcp6")
def test_max_per_address(start, family):
    """`--max-per-address`: "connections per source address (IPv6: per /64"."""
    server = start("--max-per-address", "2")
    people = [server.connect() for _ in range(2)]
    expect_full(server.open())
    if family == "tcp4":
        server.connect(source="127.0.0.2")
    people[0].close()
    server.wait_for_room()


@pytest.mark.families("unix")
def test_max_per_address_exempts_unix_sockets(start):
    """The rule: "Unix sockets are exempt"."""
    server = start("--max-per-address", "2")
    for _ in range(5):
        server.connect()


# --- nothing is left


def come_and_go(server, count):
    """So many clients at the same time, all of which then go their way."""
    clients = [server.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.join(f"room-{number}")
        client.become(f"nick-{number}")
        client.say("hello", "/topic of the day")
    for number, client in enumerate(clients):
        if number % 3 == 0:
            client.say("/quit")
            client.read_to_end()
            client.close()
        elif number % 3 == 1:
            client.reset()
        else:
            client.close()


def test_a_thousand_come_and_go(server, sanitized):
    """A session that ended keeps no thread, no descriptor, no memory, no
    room."""
    pid = server.pid
    threads, descriptors = proc.threads(pid), proc.descriptors(pid)

    def all_gone():
        return (proc.threads(pid), proc.descriptors(pid)) == (
            threads,
            descriptors,
        )

    def growth():
        resident = proc.resident_bytes(pid)
        come_and_go(server, 1000)
        until(all_gone, "no thread and no descriptor is left")
        return proc.resident_bytes(pid) - resident

    # The first thousands leave what the allocator keeps for the next: how soon
    # it has enough is chance. A leak shows in each thousand. A sanitizer keeps
    # far more, but tells of leaks itself.
    growth()
    if not sanitized:
        assert any(growth() < 100 * 1000 for _ in range(15))
    alice = server.connect()
    until(
        lambda: alice.ask_list("/rooms", "* end of rooms")
        == ["* room lobby 1 members"],
        "no room is left but the one in use",
    )


STOPS = 50


@pytest.mark.families("tcp4", "unix")
def test_stop_ends_with_the_last(start):
    """Who stops waits for those who are left, and no longer, whichever of them
    that is, and whoever served the others."""
    for number in range(STOPS):
        server = start("--drain-timeout", str(10 * WAIT))
        last, gone = server.person("alice"), server.person("bob")
        if number % 2 == 0:
            last, gone = gone, last
        gone.close()
        server.signal(signal.SIGTERM)
        last.read_to_end()
        last.close()
        assert server.wait_exit() == 0
