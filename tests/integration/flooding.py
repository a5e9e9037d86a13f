"""Those who say more than is read at once."""

import os
import shlex
import signal
import subprocess
from contextlib import contextmanager


def nc(url):
    """How `nc -N` is told to connect to a listener."""
    scheme, _, rest = url.partition("://")
    if scheme.endswith("+unix"):
        return ["nc", "-N", "-U", rest]
    host, _, port = rest.rpartition(":")
    return ["nc", "-N", host.strip("[]"), port]


@contextmanager
def flooding(url, rooms, line="x" * 1000):
    """In each of these rooms somebody, in a process of its own, says this as
    fast as the server takes it, and reads what comes of it."""
    talk = "(echo /join {}; echo /leave lobby; yes {}) | {} >/dev/null"
    flooders = [
        subprocess.Popen(
            ["sh", "-c", talk.format(room, line, shlex.join(nc(url)))],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        for room in rooms
    ]
    try:
        yield
    finally:
        for flooder in flooders:
            os.killpg(flooder.pid, signal.SIGKILL)
            flooder.wait()


TALKERS = 300
# 30 KB each, from more of them than stage 4 has large buffers, which is 64.
TALK = [f"{n} " + "y" * 1000 for n in range(30)]


def talk_before_being_let_in(server):
    """So many have come, said all that and asked for an answer before the
    server notices the first of them: it reads from all at once."""
    with server.stopped():
        talkers = [server.open() for _ in range(TALKERS)]
        for number, talker in enumerate(talkers):
            talker.say(f"/join room-{number}", *TALK, "/echo done")
    return talkers
