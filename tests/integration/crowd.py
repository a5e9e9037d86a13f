"""Many clients: how they come, ask, and are counted."""

import resource

import pytest

from capabilities import CROWD, DIALECTS
from client import TextClient

# Mostly people, and each dialect that the stage has.
MIX = ("text", "text", "frame", "text", "secure")
# Each address has ports of its own.
ADDRESSES = [f"127.0.0.{last}" for last in range(2, 10)]
# So many knock before the first one listens: fewer than a listener's backlog.
ARRIVALS = 100
# What this process and the server have open besides connections, and more.
OTHER_DESCRIPTORS = 200
# Under a sanitizer a connection costs many times what it does without.
SANITIZED_CROWD = 2000


def crowd_size(stage, sanitized, most=10000):
    """How many clients a test asks of this program, and makes sure that it
    can have so many itself."""
    count = min(CROWD[stage], most)
    if sanitized:
        count = min(count, SANITIZED_CROWD)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < count + OTHER_DESCRIPTORS:
        pytest.fail(
            f"{count} clients need more descriptors than the hard limit "
            f"allows: `ulimit -Hn` says {hard}"
        )
    return count


def mixed(stage, count):
    """So many dialects."""
    mix = [dialect for dialect in MIX if dialect in DIALECTS[stage]]
    return [mix[n % len(mix)] for n in range(count)]


def unpinged(stage):
    """Options under which nobody has to answer pings: nobody in a crowd is
    listened to all the time."""
    return ("--heartbeat", "0") if "frame" in DIALECTS[stage] else ()


def knock(server, dialects):
    """Clients of these dialects, from several addresses, that have not read
    anything yet."""
    urls = {dialect: server.url_of(dialect) for dialect in set(dialects)}
    clients = []
    for number, dialect in enumerate(dialects):
        url, options = urls[dialect], {}
        if url.partition("://")[2].startswith("127.0.0.1:"):
            options["source"] = ADDRESSES[number % len(ADDRESSES)]
        clients.append(server.open(url, dialect, **options))
    return clients


def gather(server, dialects, room=None):
    """Clients of these dialects that have been welcomed, and have joined the
    room."""
    crowd = []
    for first in range(0, len(dialects), ARRIVALS):
        arrivals = knock(server, dialects[first : first + ARRIVALS])
        for client in arrivals:
            client.expect_welcome()
            if room:
                client.join(room)
        crowd += arrivals
    return crowd


def request(client, line, *said):
    """Sends a command, written without `/`, in the client's dialect, in one
    piece with messages to be said before it."""
    if isinstance(client, TextClient):
        client.say(*said, f"/{line}")
    else:
        messages = [client.make_message(text) for text in said]
        client.send(b"".join(messages) + client.make_command(line, 1))


def answer(client):
    """The next line for this client alone, alike in all dialects."""
    return client.reply().removeprefix("* ")


def ask(client, line):
    """A command that has one line of reply."""
    request(client, line)
    return answer(client)


def metric(client, name):
    """One number of `/metrics`; the client's dialect is text."""
    lines = client.ask_list("/metrics", "* end of metrics")
    [value] = [line for line in lines if line.startswith(f"* {name} ")]
    return int(value.split()[2])
