"""Several workers on which everything happens at once, with either engine: a
stop while a thousand are busy, a successor that is there at once, and a crowd
in which everybody does whatever there is to do.

What they do is made up from a seed, which is printed; SEED=7 takes that one,
though threads take another course each time. RINGCHAT_TEST_CYCLES=50000 is some
minutes of the last:

    RINGCHAT_TEST_CYCLES=50000 make integration SANITIZE=thread STAGE=5 K=mixed
"""

import os
import random
import signal

import pytest

from capabilities import ENGINES, STALL_OPTION
from crowd import ask, gather
from server import CLIENTS
from talker import Accounts, Talker, settle_in, take_in
from timing import SLOW, WAIT, together, until

pytestmark = [pytest.mark.stages(*ENGINES), pytest.mark.families("tcp4")]


@pytest.fixture(params=["uring", "epoll"])
def several(request, stage, family):
    """Options for several workers, with each of the engines. A stop takes as
    long as it takes."""
    assert request.param in ENGINES[stage]
    return (
        "--workers", "4", "--io", request.param, "--heartbeat", "0",
        STALL_OPTION[stage], str(100 * WAIT), "--drain-timeout", str(WAIT),
    )


@pytest.fixture
def chance():
    seed = int(os.environ.get("SEED") or random.getrandbits(32))
    print(f"SEED={seed}")
    return random.Random(seed)


def rooms_of(count):
    return [f"den-{number}" for number in range(count)]


def listeners(*urls):
    return [option for url in urls for option in ("--listen", url)]


# --- a stop

DEEDS = 4


def talk(everybody, others, chance, rooms, then=lambda place: None):
    """Each does some things, all in one piece, and `then` is called. What they
    are told is read now and then."""
    chance.shuffle(everybody)
    for place, talker in enumerate(everybody):
        for _ in range(DEEDS):
            talker.do_something(chance, others, rooms, length_max=100)
        talker.send()
        then(place)
        if place % 100 == 0:
            take_in(everybody)


def read_all(talkers):
    """What is due to them until the server ends their streams."""
    for talker in talkers:
        talker.client.read_to_end()
        talker.client.close()


BUSY = 1000
BUSY_ROOMS = 100
ROUNDS = 4


def test_drain_of_a_thousand(launch, several, chance):
    """The rule: "tell every session `shutdown`, send what is queued", exit 0,
    while a thousand join, leave, talk, write to each other and change their
    nicks: what anybody has been confirmed, or has seen in a room, reaches all
    that are in it, and each stream ends whole."""
    server = launch(
        *listeners("text://127.0.0.1:0", "frame://127.0.0.1:0"), *several
    )
    rooms = rooms_of(BUSY_ROOMS)
    kinds = ["frame"] * BUSY_ROOMS + ["text", "frame"] * (BUSY // 2)
    hosts, talkers = settle_in(gather(server, kinds[:BUSY]), rooms)
    everybody = [*hosts, *talkers]
    for _ in range(ROUNDS):
        talk(everybody, talkers, chance, rooms)

    stop = chance.randrange(BUSY)

    def stop_there(place):
        if place == stop:
            server.signal(signal.SIGTERM)

    talk(everybody, talkers, chance, rooms, stop_there)
    read_all(everybody)
    assert server.wait_exit() == 0
    Accounts(hosts, talkers).check()


# --- a successor

RESTARTS = (signal.SIGTERM, signal.SIGKILL) * 2
REGULARS = ["frame"] * 20 + ["text", "frame", "text"] * 60


def come(url, kind):
    """One that has been welcomed and answered, or None."""
    try:
        client = CLIENTS[kind](url)
    except (ConnectionRefusedError, ConnectionResetError):
        return None
    try:
        client.expect_welcome()
        assert ask(client, "echo anybody") == "anybody"
    except OSError:  # nobody has accepted it, and nobody will
        client.close()
        return None
    return client


def come_back(urls):
    """All who have been there, as soon as somebody listens."""
    return [
        until(lambda: come(urls[kind], kind), "somebody serves")
        for kind in REGULARS
    ]


def let_go(talkers):
    for talker in talkers:
        talker.client.close()


def test_successor_under_load(launch, several, chance):
    """One that is killed or told to stop while everybody talks, and another at
    once in its place, while the first may still tell people to go and they
    come back already: "An address in use is tried again for a second". They
    are served as ever, and who was told to go has got what it was due."""
    anywhere = listeners("text://127.0.0.1:0", "frame://127.0.0.1:0")
    server = launch(*anywhere, *several)
    urls = {kind: server.url_of(kind) for kind in ("text", "frame")}
    rooms = rooms_of(REGULARS.index("text"))
    clients = come_back(urls)
    for number in RESTARTS:
        hosts, talkers = settle_in(clients, rooms)
        everybody = [*hosts, *talkers]
        talk(everybody, talkers, chance, rooms)
        talk(everybody, talkers, chance, rooms)
        server.signal(number)
        if number == signal.SIGTERM:
            server.wait_event("draining")
            part = read_all
        else:
            assert server.wait_exit() == -signal.SIGKILL
            part = let_go
        successor, clients, _ = together(
            lambda: launch(*listeners(*urls.values()), *several),
            lambda: come_back(urls),
            lambda: part(everybody),
        )
        if number == signal.SIGTERM:
            assert server.wait_exit() == 0
            Accounts(hosts, talkers).check()
        server = successor
    for client in clients:
        client.close()


# --- a crowd in which everybody does whatever there is to do

PRESENT = 48
MIXED_ROOMS = 6
KINDS = ("text", "text", "frame", "secure", "sealed")
CYCLES = int(os.environ.get("RINGCHAT_TEST_CYCLES", "1500"))
# Who reads seldom comes by a Unix socket, which holds less than TCP, and the
# room keeps little for it.
SELDOM = ("text", "frame", "secure")
WINDOW = "64KiB"


class Crowd:
    """Those who are there; when one goes, another comes."""

    def __init__(self, server, chance, seldom):
        self.server, self.chance = server, chance
        self.urls = {kind: server.url_of(kind) for kind in KINDS}
        self.seldom = seldom  # where those listen
        self.rooms = rooms_of(MIXED_ROOMS)
        self.hosts, _ = settle_in(
            gather(server, ["frame"] * MIXED_ROOMS), self.rooms
        )
        self.ever = []
        self.present = []
        self.asleep = {}  # until which cycle they read nothing
        for _ in range(PRESENT):
            self.let_in()

    def let_in(self):
        seldom = self.chance.random() < 0.2
        kind = self.chance.choice(SELDOM if seldom else KINDS)
        urls = self.seldom if seldom else self.urls
        client = self.server.open(urls[kind], kind)
        client.expect_welcome()
        talker = Talker(client, len(self.hosts) + len(self.ever))
        talker.join(self.chance.choice(self.rooms))
        talker.send()
        self.ever.append(talker)
        self.present.append(talker)
        if seldom:
            self.asleep[talker] = self.chance.randrange(CYCLES)

    def awake(self, cycle):
        return [
            talker
            for talker in self.present
            if self.asleep.get(talker, 0) <= cycle
        ]

    def pass_cycle(self, number):
        awake = self.awake(number)
        talker = self.chance.choice([*self.hosts, *awake])
        for _ in range(self.chance.randrange(1, DEEDS)):
            talker.do_something(
                self.chance, self.present, self.rooms, length_max=3000
            )
        talker.send()
        if self.chance.random() < 0.05:
            self.replace(self.chance.choice(awake))
        if number % 5 == 0:
            take_in([*self.hosts, *self.awake(number)])

    def replace(self, talker):
        self.present.remove(talker)
        self.chance.choice((Talker.quit, Talker.break_off))(talker)
        self.let_in()


@pytest.mark.timeout((60 + CYCLES / 20) * SLOW)
def test_mixed_load(start_all, several, chance, folder, measured):
    """The rule: "All members see the same messages in the same order", with
    numbers "from 1, without gaps", and who reads slowly "is told how many
    messages it missed": while all of them do all they can, and go when they
    like."""
    seldom = {kind: f"{kind}+unix://{folder}/{kind}" for kind in SELDOM}
    server = start_all(
        *several, "--room-window", WINDOW, *listeners(*seldom.values())
    )
    crowd = Crowd(server, chance, seldom)
    for number in range(CYCLES):
        crowd.pass_cycle(number)
    server.signal(signal.SIGTERM)
    read_all((*crowd.hosts, *crowd.present))
    assert server.wait_exit() == 0
    accounts = Accounts(crowd.hosts, crowd.ever)
    accounts.check()
    measured(
        f"{CYCLES:,} cycles, {len(crowd.ever)} came, {accounts.lags} times "
        "somebody was told of a lag"
    )
