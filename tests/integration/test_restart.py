"""One server ends, however it does, and the next one takes its place."""

import signal
import socket

import pytest

from client import connect_socket

ROUNDS = 4
CLIENTS = 20


def busy_clients(server):
    """Some with much to read, some in the middle of a line."""
    clients = [server.connect() for _ in range(CLIENTS)]
    for client in clients:
        client.say(*["/help"] * 20)
        client.send(b"and then")
    return clients


def serves(server):
    client = server.connect()
    answered = client.ask("/echo new") == "new"
    client.close()
    return answered


def let_go(clients):
    for client in clients:
        client.close()


@pytest.mark.families("tcp4", "unix")
def test_killed_and_started_at_once(start, launch):
    """Of one that was killed nothing is in the way of the next, not even the
    clients that still hold on to it."""
    server = start()
    [url] = server.urls
    for _ in range(ROUNDS):
        clients = busy_clients(server)
        server.signal(signal.SIGKILL)
        assert server.wait_exit() == -signal.SIGKILL
        server = launch("--listen", url)
        assert serves(server)
        let_go(clients)


def listens(url):
    try:
        connect_socket(url).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    return True


def is_free(url):
    """Whether anybody could listen there, and not only who tries again."""
    host, _, port = url.partition("://")[2].rpartition(":")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, int(port)))
            sock.listen()
        except OSError:
            return False
    return True


@pytest.mark.families("tcp4", "unix")
def test_stopped_and_started_at_once(start, launch, family):
    """"close, remove Unix sockets, exit 0": when the process has ended its
    address is free, whoever was connected, and whether or not they go."""
    server = start("--drain-timeout", "0")
    [url] = server.urls
    for number in range(ROUNDS):
        clients = busy_clients(server)
        server.signal(signal.SIGTERM)
        # Who stays has a second until it is cut: once is enough.
        if number > 0 or family == "unix":
            let_go(clients)
        assert server.wait_exit() == 0
        assert not listens(url)
        assert family == "unix" or is_free(url)
        server = launch("--listen", url, "--drain-timeout", "0")
        assert serves(server)
        let_go(clients)
