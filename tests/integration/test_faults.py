"""Connections that fail at any moment, and a kernel that takes little at a
time, by tests/faults: a build of its own, in which all other tests are run with
faults that nobody is to notice.

    make integration FAULTS=1 SANITIZE=address,undefined K=faults SEED=7
"""

import random
import signal
from contextlib import contextmanager

import pytest

import proc
from capabilities import DIALECTS
from crowd import unpinged
from timing import Expired, until
from visitor import COMMON_ROOMS, Visitor

pytestmark = pytest.mark.faults("deadly")

PRESENT = 24
DEEDS = 3000
# So many in one room that a turn has more to send than it may, time and again.
CROWD = 64
# Of two workers each has more than a tiny ring orders sends at a time; and so
# many rounds that one of them goes as seldom as one does.
SPEAKERS = 10
ROUNDS = 1000


class Lost(Exception):
    """The connection has failed."""


def was_refused(visitor):
    """Whether there was no descriptor for it."""
    return "server-full" in str(visitor.client.transcript)


@contextmanager
def at_its_own_risk(visitor):
    """What fails meanwhile because the connection has ended is no mistake of
    the server. Until then, it has said what it should."""
    try:
        yield
    except Expired:
        raise
    except AssertionError:
        if not visitor.client.ended and not was_refused(visitor):
            raise
        raise Lost from None
    except OSError:
        raise Lost from None


class Victims:
    """Some who are there and do what people do; when one is lost or goes,
    another comes."""

    def __init__(self, server, stage, present=PRESENT, rooms=COMMON_ROOMS):
        self.server = server
        self.rooms = rooms
        self.chance = random.Random(server.faults)
        self.kinds = (*DIALECTS[stage], "text", "text")
        self.come = self.lost = self.ended = 0
        self.present = [self.make() for _ in range(present)]

    def make(self):
        while True:
            kind = self.chance.choice(self.kinds)
            room = f"den-{self.chance.randrange(self.rooms)}"
            visitor = Visitor(
                self.come, kind, self.server.url_of(kind),
                room=self.chance.choice([room, None]), help_lines=(),
            )
            self.come += 1
            try:
                with at_its_own_risk(visitor):
                    visitor.arrive()
                return visitor
            except Lost:
                self.lost += 1  # before anything was said to it by others
                visitor.close()

    def bury(self, visitor):
        """What has come of its stream is the beginning of the right one."""
        self.lost += 1
        visitor.check()
        visitor.close()

    def do_something(self):
        place = self.chance.randrange(len(self.present))
        visitor = self.present[place]
        if self.chance.randrange(10) == 0:
            self.let_go(visitor)
            self.present[place] = self.make()
            return
        try:
            with at_its_own_risk(visitor):
                self.deed(visitor)
        except Lost:
            self.bury(visitor)
            self.present[place] = self.make()

    def deed(self, visitor):
        deed = self.chance.randrange(9)
        if deed < 3:
            visitor.speak(self.chance.randrange(1, 8))
        elif deed < 4:
            visitor.write_to(self.chance.choice(self.present).nick)
        else:
            visitor.take_in()
            assert not visitor.client.ended

    def let_go(self, visitor):
        """Who can end in order has got all that is due to it."""
        try:
            with at_its_own_risk(visitor):
                visitor.end()
            self.ended += 1
        except Lost:
            self.bury(visitor)


@pytest.fixture
def start(start_all, stage, family):
    """Starts a server of the family at hand that listens in each dialect it
    has, and bothers nobody with heartbeats and presence."""
    return lambda *options: start_all(
        "--presence-limit", "0", *unpinged(stage), *options, family=family
    )


def connections(pid):
    return sum(
        path.startswith("socket:")
        for path in proc.descriptor_paths(pid).values()
    )


@pytest.fixture
def outlive(stage, measured):
    """Sees to it that a connection that fails ends, and no other is the worse
    for it: nobody hears what is not meant for it, or a part, or anything twice
    or in another order; who is not lost has got all; and nothing is left of
    who was."""

    def outlive_victims(server, **crowd):
        before = connections(server.pid)
        victims = Victims(server, stage, **crowd)
        for _ in range(DEEDS):
            victims.do_something()
        for visitor in victims.present:
            victims.let_go(visitor)
        until(lambda: connections(server.pid) == before, "all have gone")
        assert victims.lost > 0 and victims.ended > 0
        server.signal(signal.SIGTERM)
        assert server.wait_exit() == 0
        measured(
            f"stage {stage}: "
            f"of {victims.come} visitors {victims.lost} were lost"
        )

    return outlive_victims


@pytest.mark.families("tcp4", "unix")
def test_connections_fail(start, outlive):
    """By resets, and for want of memory."""
    outlive(start())


@pytest.mark.faults("hardly")
@pytest.mark.families("tcp4", "unix")
def test_orders_find_no_room(start, outlive):
    """What could not be ordered is, as soon as there is room: whoever is given
    up goes, whoever is not is sent all, and whoever comes is let in."""
    outlive(start(), present=CROWD, rooms=1)


@pytest.mark.families("tcp4", "unix")
def test_stop_while_connections_fail(start, stage):
    """The rule: "tell every session `shutdown`, send what is queued", exit 0:
    with as many as are left, and in time."""
    server = start("--drain-timeout", "1")
    victims = Victims(server, stage)
    for _ in range(DEEDS // 10):
        victims.do_something()
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0


@pytest.mark.faults("partly")
@pytest.mark.families("unix")
def test_silence_keeps_nothing_back(start):
    """Each hears all that is said in a round, though nothing else happens until
    then that a server could be woken by: also if it had more to send than one
    turn may, and the kernel took the sends but not what was ordered behind
    them."""
    server = start()
    members = [
        server.person(f"m{n}", "den", dialect="text") for n in range(SPEAKERS)
    ]
    for number in range(ROUNDS):
        for member in members:
            member.say(f"round {number}")
        said = {f"{member.nick}: round {number}" for member in members}
        for member in members:
            assert {member.hear("den") for _ in said} == said
