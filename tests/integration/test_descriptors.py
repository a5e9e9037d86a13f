"""When there is no descriptor for those who come."""

import resource
import time

import pytest

import proc
from capabilities import DIALECTS
from client import WELCOME, is_error
from timing import PATIENCE, until

CROWD = 50
# Standard input, output and error: no other can be opened.
NONE_FREE = 3
FEW = 40


@pytest.fixture
def start(start_all, family):
    return lambda *options, **how: start_all(*options, family=family, **how)


def limit_descriptors(server, count):
    """From now on; those that are open stay open."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (count, hard))


def spare_descriptors(server):
    return [
        number
        for number, path in proc.descriptor_paths(server.pid).items()
        if number >= NONE_FREE and path == "/dev/null"
    ]


def start_with_few(start):
    few = f"--nofile={FEW}:{FEW}"
    return start("--max-connections", "1000", wrapper=["prlimit", few])


def fill(server):
    """Clients until the descriptors are used up: a kernel that was told in
    advance to accept goes by the limit of that time until then."""
    clients = [server.open(dialect="text") for _ in range(FEW)]
    return [client for client in clients if not is_full(client)]


def busy_share(server, seconds):
    """What part of a processor it uses in that time."""
    cpu, begin = proc.cpu_seconds(server.pid), time.monotonic()
    time.sleep(seconds)
    used = proc.cpu_seconds(server.pid) - cpu
    return used / (time.monotonic() - begin)


def test_nobody_can_be_let_in(start, stage):
    """Where not even the spare descriptor helps: "no spinning; accepting goes
    on when one is free", and those who are there are served meanwhile. Nobody
    has to knock again."""
    server = start_with_few(start)
    alice, *others = fill(server)
    limit_descriptors(server, NONE_FREE)
    waiting = [
        server.open(dialect=DIALECTS[stage][n % len(DIALECTS[stage])])
        for n in range(CROWD)
    ]
    assert alice.ask("/echo here") == "here"
    assert busy_share(server, 1) < 0.2
    assert alice.ask("/echo still here") == "still here"
    limit_descriptors(server, FEW)
    for client in others:
        client.close()
    for client in waiting[: len(others)]:
        client.expect_welcome()


def test_spare_descriptor_comes_back(start, stage):
    """The spare descriptor of a listener, lost for a while, is there again
    when it is needed: "`server-full` by a spare descriptor"."""
    server = start_with_few(start)
    assert len(spare_descriptors(server)) == len(DIALECTS[stage])
    others = fill(server)
    limit_descriptors(server, NONE_FREE)
    # One more than an accept(2) that waits has a descriptor for already.
    waiting = [server.open(dialect=name) for name in 2 * DIALECTS[stage]]
    until(
        lambda: not spare_descriptors(server),
        "the spare descriptors have been given up",
    )
    limit_descriptors(server, FEW)
    for client in others:
        client.close()
    for client in waiting:
        client.expect_welcome()
    crowd = [server.open(dialect="text") for _ in range(CROWD)]
    refused = [client for client in crowd if is_full(client)]
    assert CROWD - FEW < len(refused) < CROWD
    for client in refused:
        client.expect_end()
    assert busy_share(server, 1) < 0.2


def is_full(client):
    line = client.reply(PATIENCE)
    assert WELCOME.fullmatch(line) or is_error(line, "server-full"), line
    return is_error(line, "server-full")
