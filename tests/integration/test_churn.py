"""Those who come and go: many in a row, many at once, and each of them in the
middle of something."""

import itertools
import os
import random
import select
import socket
import time
from contextlib import nullcontext

import pytest

import proc
from capabilities import CAPABILITIES, DIALECTS
from client import TextClient, is_error
from crowd import ask, gather, knock, metric, mixed, request, unpinged
from stalling import LINE
from timing import SLOW as SLOWNESS
from timing import WAIT, until
from visitor import COMMON_ROOMS, Visitor


@pytest.fixture
def start(start_all, stage, family):
    """Starts a server of the family at hand that listens in each dialect it
    has, and bothers nobody with heartbeats and presence."""

    def start_server(*options):
        return start_all(
            "--presence-limit", "0", *unpinged(stage), *options, family=family
        )

    return start_server


@pytest.fixture
def kinds(stage):
    """Who there is at a stage."""
    sealed = ("sealed",) if "secure" in DIALECTS[stage] else ()
    return DIALECTS[stage] + sealed


def half_a_request(client):
    if isinstance(client, TextClient):
        return b"half a li"
    return client.make_message("half")[:-1]


# --- many in a row

IN_A_ROW = 2000
WARM_UP = 300
# What the allocator keeps, or does not find again at once: 250 bytes each.
ALLOWANCE = 250 * IN_A_ROW


def go_at_once(client):
    client.close()


def go_when_welcomed(client):
    client.expect_welcome()
    client.close()


def break_off(client):
    client.expect_welcome()
    client.reset()


def talk_and_end(client):
    client.expect_welcome()
    client.join("den")
    client.say("hello")
    client.half_close()
    client.read_to_end()
    client.close()


def go_within_a_request(client):
    client.expect_welcome()
    client.join("den")
    client.send(half_a_request(client))
    client.close()


def break_off_within_a_request(client):
    client.expect_welcome()
    client.reset(half_a_request(client))


def go_unanswered(client):
    client.expect_welcome()
    client.join("den")
    request(client, "help", "hello", "hello")
    client.close()


VISITS = (
    go_at_once,
    go_when_welcomed,
    break_off,
    talk_and_end,
    go_within_a_request,
    break_off_within_a_request,
    go_unanswered,
)


def visit_in_a_row(server, kinds, count):
    """Each comes when the last one has gone, each dialect in each way."""
    # A listener is asked for once: the log grows with each visit.
    urls = {kind: server.url_of(kind) for kind in kinds}
    visits = itertools.product(VISITS, kinds)
    for visit, kind in itertools.islice(itertools.cycle(visits), count):
        visit(server.open(urls[kind], kind))


@pytest.mark.families("tcp4", "unix")
def test_two_thousand_in_a_row(start, kinds, sanitized):
    """Who has gone, whatever it was in the middle of, leaves no session, no
    room, no descriptor, no thread and no memory."""
    server = start()
    pid = server.pid
    witness = server.connect(dialect="text")
    before = proc.descriptors(pid), proc.threads(pid)

    def wait_until_gone():
        until(
            lambda: metric(witness, "clients_active") == 1,
            "no session is left but the witness",
        )
        until(
            lambda: (proc.descriptors(pid), proc.threads(pid)) == before,
            "no descriptor and no thread is left",
        )
        assert witness.ask_list("/rooms", "* end of rooms") == [
            "* room lobby 1 members"
        ]

    visit_in_a_row(server, kinds, WARM_UP)
    wait_until_gone()
    resident = proc.resident_bytes(pid)
    visit_in_a_row(server, kinds, IN_A_ROW)
    wait_until_gone()
    if not sanitized:
        assert proc.resident_bytes(pid) - resident <= ALLOWANCE


# --- all at once

CROWD = 200
SAID = [f"{n} " + "x" * 500 for n in range(20)]
# A private message to each, and what it has asked for, is nobody else's.
SECRET = "between us"


def reset_or_close(client):
    """Breaks the connection off without waiting for the server, which stands
    still: a Unix socket resets by what it has not read."""
    if client.socket.family == socket.AF_UNIX:
        client.close()
    else:
        client.reset()


class Upheaval:
    """A room, and what befalls it in one moment: alice talks to it, most of
    its members go, and others come."""

    def __init__(self, server, stage, number):
        self.server, self.stage, self.number = server, stage, number
        self.dialects = mixed(stage, CROWD)
        self.members = gather(server, self.dialects, "den")
        # What is meant for a nick of theirs must not find a guest who is
        # given the same: there are few.
        for place, member in enumerate(self.members):
            member.become(f"old-{number}-{place}")
        self.newcomers = []

    @property
    def ended(self):
        """They say something and end their side of the stream."""
        return self.members[1::4]

    @property
    def stayed(self):
        """They say something and stay."""
        return self.members[3::4]

    def talk(self, alice):
        private = [f"/msg {member.nick} {SECRET}" for member in self.members]
        alice.say(*SAID, *private)

    def go(self):
        for client in self.members:
            request(client, f"echo {SECRET}", self.last_words(client))
        for client in self.members[::4]:
            reset_or_close(client)
        for client in self.ended:
            client.half_close()
        for client in self.members[2::4]:
            client.close()

    def come(self):
        self.newcomers = knock(self.server, self.dialects)

    def last_words(self, client):
        return f"last words {self.number} of {client.nick}"

    def expected_words(self):
        return [
            f"{client.nick}: {self.last_words(client)}"
            for client in (*self.ended, *self.stayed)
        ]


ORDERS = list(itertools.permutations(("talk", "go", "come")))


def order_of_things(upheaval, server, alice, order):
    deeds = {
        "talk": lambda: upheaval.talk(alice),
        "go": upheaval.go,
        "come": upheaval.come,
    }
    with server.stopped():
        for name in order:
            deeds[name]()


def expect_own_only(client, number):
    """A newcomer has been welcomed and answered, and told nothing else: what
    was meant for who had its descriptor before is lost."""
    client.expect_welcome()
    assert ask(client, f"echo {number}") == str(number)
    told = 2 if isinstance(client, TextClient) else 3
    assert len(client.transcript) == told, client.transcript


def hear_until(member, last):
    heard = []
    while heard[-1:] != [last]:
        heard.append(member.hear("den"))
    return heard


@pytest.mark.families("tcp4", "unix")
def test_all_at_once(start, stage, family):
    """Many break off, end and go in the very moment in which they are spoken
    to and others come, in every order: the stale is not taken for the new.
    "What a session sent before `/quit`, DISCONNECT or the end of its stream is
    in its room", and who stays hears all of it, in one order."""
    server = start("--room-window", "4MiB")
    alice = server.person("alice", "den", dialect="text")
    bob = server.person("bob", "den", dialect="text")
    before = proc.descriptors(server.pid)
    for number, order in enumerate(ORDERS):
        upheaval = Upheaval(server, stage, number)
        order_of_things(upheaval, server, alice, order)

        for count, client in enumerate(upheaval.newcomers):
            expect_own_only(client, count)
        for client in upheaval.ended:
            own = f"{client.nick}: {upheaval.last_words(client)}"
            client.read_to_end()
            assert client.unheard("den").count(own) == 1
        for _ in upheaval.members:
            line = alice.reply()
            assert line.startswith("* sent to old-") or is_error(
                line, "no-such-nick"
            )
        for client in upheaval.stayed:
            hear = {client.reply().removeprefix("* ") for _ in range(2)}
            assert hear == {SECRET, f"(private) alice: {SECRET}"}

        alice.say(f"end of {number}")
        heard, *others = [
            hear_until(member, f"alice: end of {number}")
            for member in (alice, bob, *upheaval.stayed)
        ]
        assert all(order == heard for order in others)
        assert [line for line in heard if line.startswith("alice: ")] == [
            f"alice: {line}" for line in (*SAID, f"end of {number}")
        ]
        assert len(set(heard)) == len(heard)
        assert set(upheaval.expected_words()) < set(heard)

        for client in (*upheaval.members, *upheaval.newcomers):
            client.close()
        until(
            lambda: proc.descriptors(server.pid) == before,
            "nobody is left of this upheaval",
        )
    assert metric(alice, "clients_active") == 2


SLOW = 32
# More than a Unix socket and a window of 64 KiB hold.
FLOOD = 120


def take_what_there_is(client):
    while select.select([client.socket], [], [], 0)[0]:
        client.sip(65536)


@pytest.mark.dialects("frame", "secure")
@pytest.mark.families("unix")
def test_cut_for_lagging_at_once(start, stage):
    """With `--slow-consumer disconnect` many are closed with error `lagged` in
    the moment in which they go by themselves, and others come."""
    server = start(
        "--room-window", "64KiB", "--slow-consumer", "disconnect",
        "--stall-timeout", str(100 * WAIT),
    )
    alice = server.person("alice", "den", dialect="text")
    before = proc.descriptors(server.pid)
    slow = gather(server, mixed(stage, SLOW), "den")
    lines = [f"{n} {LINE}" for n in range(FLOOD)]
    for line in lines:
        alice.say(line)
        assert alice.hear("den") == f"alice: {line}"

    with server.stopped():
        for client in slow:
            client.say("is anybody there")
            take_what_there_is(client)  # so that it can be sent more
        alice.say("one more")
        newcomers = knock(server, mixed(stage, SLOW))
        for client in slow[::3]:
            client.close()
        for client in slow[1::3]:
            client.half_close()

    for count, client in enumerate(newcomers):
        expect_own_only(client, count)
    for client in slow[2::3]:
        assert is_error(last_line(client), "lagged")
    for client in (*slow[1::3], *slow[2::3]):
        if client in slow[1::3]:
            client.read_to_end()
        heard = [
            line for line in client.unheard("den") if line.startswith("alice")
        ]
        assert heard == [f"alice: {line}" for line in lines[: len(heard)]]
        assert 0 < len(heard) < FLOOD
        client.close()
    for client in newcomers:
        client.close()
    until(
        lambda: proc.descriptors(server.pid) == before, "all of them have gone"
    )
    assert alice.ask_list("/who", "* end of who") == ["* alice"]


def last_line(client):
    """What a client is told last, to it alone."""
    client.read_to_end()
    return client.unanswered()[-1]


# --- many at a time, each of whom knows what is meant for it

PRESENT = 64
# Enough for each way to go in the middle of each thing; `make test` has no
# time for more. RINGCHAT_TEST_CYCLES=50000 is some minutes, and SEED=2 another
# history:
#     RINGCHAT_TEST_CYCLES=50000 make integration STAGE=4 K=gets_its_own
CYCLES = int(os.environ.get("RINGCHAT_TEST_CYCLES", "400"))
SEED = int(os.environ.get("SEED") or "1")
# So many go in one moment at times, and others have their descriptors.
GUST = 16


class Visitors:
    """Those who are there now; when one goes, another comes."""

    def __init__(self, server, stage, kinds, witness):
        self.chance = random.Random(SEED)
        self.urls = {kind: server.url_of(kind) for kind in kinds}
        self.kinds = (*kinds, "text", "text", "text")  # mostly people
        self.may_stall = CAPABILITIES["stalled_reader_harmless"][stage]
        lines = witness.ask_list("/help\n/echo over", "over")
        self.help_lines = [line.removeprefix("* ") for line in lines]
        self.come = 0
        self.present = [self.make() for _ in range(PRESENT)]

    def make(self):
        kind = self.chance.choice(self.kinds)
        common = f"den-{self.chance.randrange(COMMON_ROOMS)}"
        stalls = self.may_stall and self.chance.random() < 0.1
        visitor = Visitor(
            self.come, kind, self.urls[kind],
            room=self.chance.choice([common, None]),
            help_lines=self.help_lines,
            stalls=stalls and kind == "text",
        )
        self.come += 1
        visitor.arrive()
        return visitor

    def go(self, count):
        places = self.chance.sample(range(PRESENT), count)
        for place in places:
            self.chance.choice(Visitor.WAYS_TO_GO)(self.present[place])
        for place in places:
            self.present[place] = self.make()

    def do_something(self):
        visitor = self.chance.choice(self.present)
        deed = self.chance.randrange(10)
        if deed < 3:
            visitor.speak(self.chance.randrange(1, 8))
        elif deed < 4:
            visitor.write_to(self.chance.choice(self.present).nick)
        elif visitor.stalls:
            visitor.ask_for_much()
            visitor.stalls = False
        elif deed < 7:
            visitor.take_in()
        else:
            self.go(GUST if self.chance.random() < 0.05 else 1)

    def end(self):
        for visitor in self.present:
            visitor.end()


@pytest.mark.families("tcp4", "unix")
@pytest.mark.timeout((60 + CYCLES / 20) * SLOWNESS)
def test_each_gets_its_own(start, stage, kinds, measured):
    """In hundreds of visits (see CYCLES), each of which ends in the middle of
    something: lines under way in both directions, a send that the peer does
    not take, half a line. No byte reaches another than it is meant for, and
    who ends in order has got all that is due to it."""
    server = start()
    witness = server.connect(dialect="text")
    before = proc.descriptors(server.pid), proc.threads(server.pid)
    begin = time.monotonic()
    visitors = Visitors(server, stage, kinds, witness)
    while visitors.come < CYCLES:
        visitors.do_something()
    visitors.end()
    until(
        lambda: metric(witness, "clients_active") == 1,
        "no session is left but the witness",
    )
    until(
        lambda: (proc.descriptors(server.pid), proc.threads(server.pid))
        == before,
        "no descriptor and no thread is left",
    )
    assert witness.ask_list("/rooms", "* end of rooms") == [
        "* room lobby 1 members"
    ]
    measured(
        f"stage {stage}: {visitors.come:,} visits in "
        f"{time.monotonic() - begin:.1f} s"
    )


# --- the end of the stream, together with all that is before it

# More than is read at once (60 KiB), less than a Unix socket holds unread.
MUCH = [f"{n} " + "y" * 1000 for n in range(80)]


def test_much_and_the_end_at_once(start, kinds):
    """The rule: "What a session sent before `/quit`, DISCONNECT or the end of
    its stream is in its room, and has been sent back to it": more than is read
    at once, and the end known from the first moment."""
    server = start()
    bob = server.person("bob", dialect="text")
    for kind in kinds:
        alice = server.connect(dialect=kind)
        with server.stopped():
            request(alice, "echo done", *MUCH)
            alice.half_close()
        assert alice.reply() == "done"
        expected = [f"{alice.nick}: {line}" for line in MUCH]
        for member in (alice, bob):
            assert [member.hear("lobby") for _ in MUCH] == expected
        alice.expect_end()


def test_word_of_one_who_goes(start, kinds):
    """The same of who goes for good: it is not there any more when its word
    is read."""
    server = start()
    bob = server.person("bob", dialect="text")
    for kind in kinds:
        for pause in (server.stopped, nullcontext):
            alice = server.connect(dialect=kind)
            with pause():
                alice.say("the last word")
                alice.close()
            assert bob.hear("lobby") == f"{alice.nick}: the last word"
    until(
        lambda: bob.ask_list("/who", "* end of who") == ["* bob"],
        "all have left",
    )


def test_visit_before_it_is_noticed(start, kinds):
    """Who has come, said all it wants to and ended its side of the stream
    before the server accepts it is served like any other."""
    server = start()
    bob = server.person("bob", dialect="text")
    for kind in [kind for kind in kinds if kind in ("text", "frame")]:
        with server.stopped():
            alice = server.open(dialect=kind)
            if kind == "frame":
                alice.send(alice.make_ack())
            alice.say("hello", "and good-bye")
            alice.half_close()
        if kind == "frame":
            alice.expect_init()
            nick = alice.take_next().nick
        else:
            alice.expect_welcome()
            nick = alice.nick
        alice.expect_end()
        for member in (alice, bob):
            assert [member.hear("lobby") for _ in range(2)] == [
                f"{nick}: hello", f"{nick}: and good-bye"
            ]
