"""When there is no descriptor for those who come."""

import resource
import select

import pytest

import proc
from capabilities import DIALECTS
from client import WELCOME, is_error
from timing import PATIENCE, until

CROWD = 50
# Standard input, output and error: no other can be opened.
NONE_FREE = 3
# What the server and a few clients need.
FEW = 40
# How often one knocks at each listener. Without a descriptor for one, what
# another has given up may let in two more.
KNOCKS = 4


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


def knock(server, stage, times=1):
    return [server.open(dialect=name) for name in times * DIALECTS[stage]]


def make_room(server, clients):
    """Lets these go, and gives the server its descriptors back when it has
    let them go too."""
    left = proc.descriptors(server.pid) - len(clients)
    for client in clients:
        client.close()
    until(lambda: proc.descriptors(server.pid) <= left, "they have gone")
    limit_descriptors(server, FEW)


def expect_let_in(waiting, stage):
    """Those who have waited. In stage 4 only the last at each listener is
    sure: an accept that was ordered when the limit was another may let one in
    before there is anything for a spare descriptor, and then that one is
    refused."""
    for client in waiting[-len(DIALECTS[stage]):] if stage == 4 else waiting:
        client.expect_welcome()


def is_silent(client):
    return not select.select([client.socket], [], [], 0)[0]


def test_nobody_can_be_let_in(start, stage):
    """Where not even the spare descriptor helps: "no spinning; accepting goes
    on when one is free", and those who are there are served meanwhile. Nobody
    has to knock again."""
    server = start_with_few(start)
    alice, *others = fill(server)
    limit_descriptors(server, NONE_FREE)
    knock(server, stage)  # for what an accept that waits has in hand already
    waiting = knock(server, stage, KNOCKS)
    assert alice.ask("/echo here") == "here"
    assert proc.busy_share(server.pid, 1) < 0.2
    assert alice.ask("/echo still here") == "still here"
    assert all(is_silent(client) for client in waiting[-len(DIALECTS[stage]):])
    make_room(server, others)
    expect_let_in(waiting, stage)


@pytest.mark.unfaulted  # it knows which accept has a descriptor in hand
def test_spare_descriptor_comes_back(start, stage):
    """The spare descriptor of a listener, lost for a while, is there again
    when it is needed: "`server-full` by a spare descriptor"."""
    server = start_with_few(start)
    assert len(spare_descriptors(server)) == len(DIALECTS[stage])
    others = fill(server)
    limit_descriptors(server, NONE_FREE)
    knock(server, stage)  # for what an accept that waits has in hand already
    waiting = knock(server, stage, KNOCKS)
    until(
        lambda: not spare_descriptors(server),
        "the spare descriptors have been given up",
    )
    make_room(server, others)
    expect_let_in(waiting, stage)
    crowd = [server.open(dialect="text") for _ in range(CROWD)]
    refused = [client for client in crowd if is_full(client)]
    assert CROWD - FEW < len(refused) < CROWD
    for client in refused:
        client.expect_end()
    assert proc.busy_share(server.pid, 1) < 0.2


def is_full(client):
    line = client.reply(PATIENCE)
    assert WELCOME.fullmatch(line) or is_error(line, "server-full"), line
    return is_error(line, "server-full")
