"""The load generator: whatever a server does wrong it reports, exactly that
and nothing else; and what it measures is so."""

import itertools
import json
import random
import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import pytest

import scripted
from capabilities import DIALECTS
from conftest import REPOSITORY
from scripted import CUT, Raw, Scripted, Text
from server import SANITIZER
from timing import SLOW, WAIT, together, until

HELD, FAILED, USAGE, DATA, NO_INPUT, NOBODY, NO_FILE = 0, 1, 64, 65, 66, 69, 73

# What has to be 0, or the checks have not held.
FAULTS = (
    "lost", "duplicated", "reordered", "corrupted", "overstated", "errors",
    "refused", "cut", "overdue",
)
COUNTED = ("published", "delivered", "lagged", "lag_notices", *FAULTS)

# A message that not all have by then is given up: so long nothing happens.
SOON = 0.5 * SLOW

# Where something is given up.
SHORT = {"patience": SOON, "duration": SOON}

# Most runs: so many of a speaker's messages, enough on their way for one to
# overtake another.
MESSAGES = 40
WINDOW = 8


# --- running it


class Report(SimpleNamespace):
    """What a run has said: `status`, `json`, `summary`, `complaints`."""

    def expect(self, **counts):
        """These counts, and no others but 0; and what follows from them."""
        assert self.json, self
        wanted = {name: counts.get(name, 0) for name in COUNTED}
        assert {n: self.json["totals"][n] for n in COUNTED} == wanted, self
        held = not any(wanted[name] for name in FAULTS)
        assert self.json["held"] is held
        assert self.status == (HELD if held else FAILED)
        self.check()

    def check(self):
        """What is said twice is said alike."""
        check_histogram(self.json["latency"])
        check_histogram(self.json["entering"])
        check_summary(self.summary, self.json)


@pytest.fixture
def load_program(pytestconfig):
    return REPOSITORY / pytestconfig.getoption("--build-dir") / "ringchat-load"


@pytest.fixture
def load(load_program, folder):
    """Runs the load generator to its end; returns what it reports."""
    numbers = itertools.count()

    def run_load(*arguments, seconds=6 * WAIT):
        file = folder / f"{next(numbers)}.json"
        done = subprocess.run(
            [load_program, "--json", file, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        return report(done.returncode, file, done.stdout, done.stderr)

    return run_load


def report(status, file, summary, complaints):
    assert not SANITIZER.search(complaints.encode()), complaints
    made = json.loads(file.read_text()) if file.exists() else None
    return Report(
        status=status, json=made, summary=summary, complaints=complaints
    )


@pytest.fixture
def verify(load):
    """A run of some messages against a scripted server. They are patient: on
    a busy machine nothing is late that has not been dropped."""

    def run_against(server, *options, quiet=True, **more):
        more = {
            "clients": 4, "senders": 1, "messages": MESSAGES,
            "window": WINDOW, "patience": WAIT, **more,
        }
        pairs = [(f"--{name}", v) for name, v in more.items() if v is not None]
        with server:
            done = load(
                *["--quiet"] * quiet, *itertools.chain(*pairs), *options,
                server.url,
            )
        assert done.complaints == "" or done.status != HELD or not quiet
        return done

    return run_against


def clean(clients=4, senders=1, messages=MESSAGES):
    """What a run counts in which nothing goes wrong."""
    said = senders * messages
    return Counter(published=said, delivered=said * clients)


# --- what is said twice is said alike


def check_histogram(times):
    """Its buckets are in order, and hold all; of all quantiles the one that is
    further up is no less, and what is exact is in the buckets."""
    buckets = times["buckets_ns"]
    assert sum(count for _, _, count in buckets) == times["count"]
    edges = [edge for low, high, _ in buckets for edge in (low, high)]
    assert edges == sorted(edges)
    names = ("min_us", "p50_us", "p90_us", "p99_us", "p999_us", "max_us")
    values = [times[name] for name in names]
    assert values == sorted(values)
    if buckets:
        assert buckets[0][0] <= values[0] * 1e3 <= buckets[0][1] + 1
        assert buckets[-1][0] <= values[-1] * 1e3 + 1
        assert values[0] <= times["mean_us"] <= values[-1]


SUMMARY = {
    r"published +(\d+) messages": ("measured", "published"),
    r"delivered +(\d+) messages": ("measured", "delivered"),
    r"published .* (\d+)/s": ("rates", "published_per_s"),
    r"delivered .* (\d+)/s": ("rates", "delivered_per_s"),
    r"delivered .* ([\d.]+) MB/s": ("rates", "megabytes_per_s"),
    r"measured +([\d.]+) s": ("rates", "seconds"),
    r"lost (\d+)": ("totals", "lost"),
    r"duplicated (\d+)": ("totals", "duplicated"),
    r"reordered (\d+)": ("totals", "reordered"),
    r"corrupted (\d+)": ("totals", "corrupted"),
    r"lagged (\d+) messages": ("totals", "lagged"),
    r"told (\d+) times": ("totals", "lag_notices"),
    r"overstated (\d+)": ("totals", "overstated"),
    r"overdue (\d+)": ("totals", "overdue"),
    r"held back (\d+)": ("totals", "held_back"),
    r"errors (\d+)": ("totals", "errors"),
    r"refused (\d+)": ("totals", "refused"),
    r"cut off (\d+)": ("totals", "cut"),
}
TIMES = {
    "min": "min_us", "mean": "mean_us", "stddev": "stddev_us",
    "p50": "p50_us", "p90": "p90_us", "p99": "p99_us", "p99.9": "p999_us",
    "max": "max_us",
}


def check_summary(summary, made):
    """It says what the JSON says, as far as it is precise."""
    for pattern, (part, name) in SUMMARY.items():
        check_number(summary, pattern, made[part][name])
    for line, part in (("latency", "latency"), ("entering", "entering")):
        said = re.search(f"^{line} .*", summary, re.MULTILINE)
        assert bool(said) == (made[part]["count"] > 0)
        for word, name in TIMES.items() if said else ():
            check_number(
                said[0], rf"{re.escape(word)} ([\d.]+)", made[part][name]
            )
    verdict = re.search(r"checks +(\w+):", summary)[1]
    assert verdict == ("held" if made["held"] else "FAILED")


def check_number(text, pattern, value):
    said = re.search(pattern, text)[1]
    unit = 10 ** -len(said.partition(".")[2])
    assert abs(float(said) - value) <= unit / 2 + 1e-6, (pattern, said, value)


# --- one thing goes wrong

# Message 10 is what it happens to, and here is what that makes of the counts
# of each hearer it happens to. In the scripts' words number 10 is 10 and 11
# the one behind it.
NOTHING = {}
CASES = {
    "nothing": ({}, NOTHING),
    "dropped": ({10: scripted.drop}, {"lost": 1, "delivered": -1}),
    "many dropped": (
        dict.fromkeys([7, 10, 11, 12, 30], scripted.drop),
        {"lost": 5, "delivered": -5},
    ),
    "the first dropped": ({0: scripted.drop}, {"lost": 1, "delivered": -1}),
    "doubled": ({10: scripted.double}, {"duplicated": 1}),
    "the last doubled": (
        {MESSAGES - 1: scripted.double}, {"duplicated": 1},
    ),
    "repeated later": ({30: scripted.repeat(20)}, {"duplicated": 1}),
    "swapped": (
        {10: scripted.drop, 11: scripted.swap}, {"reordered": 1},
    ),
    "swapped and doubled": (
        {
            10: scripted.drop, 11: scripted.swap,
            12: scripted.repeat(2), 13: scripted.repeat(2),
        },
        {"reordered": 1, "duplicated": 2},
    ),
    "damaged": (
        {10: scripted.damage(20)}, {"corrupted": 1, "delivered": -1},
    ),
    "its last byte damaged": (
        {10: scripted.damage(-1)}, {"corrupted": 1, "delivered": -1},
    ),
    # Which it was is no longer known: of those that are missing it is one.
    "its name damaged": (
        {10: scripted.damage(3)}, {"corrupted": 1, "delivered": -1},
    ),
    "the end of its name damaged": (
        {10: scripted.damage(15)}, {"corrupted": 1, "delivered": -1},
    ),
    "as of one who does not speak": (
        {10: scripted.misname(speaker=1)}, {"corrupted": 1, "delivered": -1},
    ),
    "as one that was not said": (
        {10: scripted.misname(number=1000)},
        {"corrupted": 1, "delivered": -1},
    ),
    # It has the matter of another, so its name is not believed.
    "as the one before": (
        {10: scripted.misname(number=-1)}, {"corrupted": 1, "delivered": -1},
    ),
    "as the one behind": (
        {10: scripted.misname(number=1)}, {"corrupted": 1, "delivered": -1},
    ),
    "shortened": (
        {10: scripted.shorten(-1)}, {"corrupted": 1, "delivered": -1},
    ),
    "shortened to its name": (
        {10: scripted.shorten(16)}, {"corrupted": 1, "delivered": -1},
    ),
    "shortened to less": (
        {10: scripted.shorten(15)}, {"corrupted": 1, "delivered": -1},
    ),
    "lengthened": (
        {10: scripted.lengthen}, {"corrupted": 1, "delivered": -1},
    ),
    # The first comes, too long; the second does not.
    "run together": (
        {10: scripted.run_together},
        {"corrupted": 1, "lost": 1, "delivered": -2},
    ),
    "something else": ({10: scripted.tell(b"who is it?")}, {"corrupted": 1}),
    "all of it": (
        {
            3: scripted.drop, 6: scripted.damage(30), 9: scripted.double,
            12: scripted.drop, 13: scripted.swap, 17: scripted.damage(0),
            20: scripted.repeat(15),
        },
        {
            "lost": 1, "corrupted": 2, "duplicated": 2, "reordered": 1,
            "delivered": -3,
        },
    ),
}
# Where there are other lines than messages.
TEXT_CASES = {
    "error": ({10: scripted.tell(b"! internal")}, {"errors": 1}),
    "private": ({10: scripted.tell(b"(private) eve: psst")}, NOTHING),
    "notice": ({10: scripted.tell(b"* by the way")}, NOTHING),
    "presence": ({10: scripted.tell(b"[lobby] * eve joined")}, NOTHING),
    "another room": (
        {10: scripted.tell(b"[lobby] eve: 000000 00000000:hello")},
        {"corrupted": 1},
    ),
    "no line": ({10: scripted.tell(b"")}, {"corrupted": 1}),
    "no number": (
        {10: scripted.lagged("many")}, {"corrupted": 1},
    ),
    "lagged rightly": (
        {10: scripted.drop, 11: scripted.lagged(1)},
        {"lagged": 1, "lag_notices": 1, "delivered": -1},
    ),
    "lagged twice": (
        {
            8: scripted.drop, 9: scripted.drop, 10: scripted.lagged(2),
            20: scripted.drop, 21: scripted.lagged(1),
        },
        {"lagged": 3, "lag_notices": 2, "delivered": -3},
    ),
    "lagged more than told": (
        {8: scripted.drop, 9: scripted.drop, 10: scripted.lagged(1)},
        {"lost": 1, "lagged": 1, "lag_notices": 1, "delivered": -2},
    ),
    "lagged less than told": (
        {10: scripted.drop, 11: scripted.lagged(3)},
        {"lagged": 3, "lag_notices": 1, "overstated": 2, "delivered": -1},
    ),
    "not lagged at all": (
        {10: scripted.lagged(5)},
        {"lagged": 5, "lag_notices": 1, "overstated": 5},
    ),
}
# Who it happens to, of four, and how much is sent to them at once. Who is sent
# to first is whose hearing others are compared with.
AFFLICTED = (
    ([0], None), ([3], None), ([1, 2], 7), ([0, 1, 2, 3], None),
)


def afflict(places, fates):
    """What becomes of messages with these numbers on their way to those who
    came as these."""

    def fate(peer, said):
        if peer.number in places and said.number in fates:
            return fates[said.number](said)
        return scripted.pass_on(said)

    return fate


def each(cases, run):
    """Runs all cases at the same time; says which have failed."""

    def failure(case):
        try:
            run(*case)
        except AssertionError as error:
            return error

    failures = together(*(partial(failure, case) for case in cases.values()))
    wrong = {n: str(f) for n, f in zip(cases, failures) if f}
    assert not wrong, "\n".join(f"{n}: {f}" for n, f in wrong.items())


def add(counts, effect, times=1):
    for name, count in effect.items():
        counts[name] += count * times


@pytest.mark.parametrize(
    "places, piece", AFFLICTED, ids=["first", "last", "middle", "all"]
)
@pytest.mark.parametrize("dialect", [Raw(), Text()], ids=["raw", "text"])
def test_what_goes_wrong_is_reported(verify, dialect, places, piece):
    """Whatever happens, in each dialect, and however the bytes are cut:
    exactly that is counted."""
    is_text = dialect.scheme == "text"

    def run(fates, effect):
        fate = afflict(places, fates)
        wanted = clean()
        add(wanted, effect, len(places))
        verify(Scripted(4, dialect, fate, piece=piece)).expect(**wanted)

    each({**CASES, **(TEXT_CASES if is_text else {})}, run)


# --- much goes wrong

# Each is over after two messages, and tells of itself alone.
INCIDENTS = [
    CASES[name]
    for name in (
        "dropped", "doubled", "swapped", "damaged", "its name damaged",
        "as the one before", "shortened", "shortened to less", "lengthened",
    )
]
TEXT_INCIDENTS = [TEXT_CASES[n] for n in ("lagged rightly", "error")]


def draw_incidents(draw, incidents, clients, senders):
    """What becomes of which message for whom, and what is to be counted."""
    fates, counts = {}, clean(clients, senders)
    for place, speaker in itertools.product(range(clients), range(senders)):
        for begin in range(4, MESSAGES - 4, 4):
            if draw.random() < 0.5:
                continue
            changed, effect = draw.choice(incidents)
            add(counts, effect)
            for number, fate in changed.items():
                fates[place, speaker, begin + number - 10] = fate
    return fates, counts


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dialect", [Raw(), Text()], ids=["raw", "text"])
def test_much_goes_wrong(verify, dialect, threads):
    """Something else for each, all the time: the counts are the sums."""
    more = TEXT_INCIDENTS if dialect.scheme == "text" else []

    def run(seed):
        draw = random.Random(seed)
        fates, counts = draw_incidents(draw, INCIDENTS + more, 5, 3)

        def fate(peer, said):
            key = peer.number, *said.key
            return fates.get(key, scripted.pass_on)(said)

        server = Scripted(5, dialect, fate, piece=draw.choice([None, 30, 999]))
        done = verify(server, clients=5, senders=3, threads=threads)
        assert done.json["plan"]["threads"] == threads
        done.expect(**counts)

    together(*(partial(run, seed) for seed in range(4)))


# --- the order of all that is said in a room


class Rounds(Scripted):
    """Two speakers: passes on two messages of each when both have said them,
    in one piece, and in this order, but for one round."""

    ODD = 5

    def __init__(self, clients, tell_odd):
        super().__init__(clients)
        self.tell_odd = tell_odd
        self.begun = {}

    def take(self, said):
        number = said.number // 2
        lines = self.begun.setdefault(number, {})
        lines[said.number, said.speaker] = said.line()
        if len(lines) < 4:
            return
        lines = [lines[key] for key in sorted(lines)]
        peers = sorted(self.members, key=lambda peer: peer.number)
        if number == self.ODD:
            self.tell_odd(peers, lines)
        else:
            for peer in peers:
                peer.send(*lines)


def tell_otherwise(place, order):
    """One is told in another order."""

    def tell(peers, lines):
        for peer in peers:
            is_odd = peer is peers[place]
            peer.send(*([lines[n] for n in order] if is_odd else lines))

    return tell


def tell_in_turn(*turns):
    """Now one is told, now the other; what is told is read before that."""

    def tell(peers, lines):
        for place, *numbers in turns:
            peers[place].send(*(lines[number] for number in numbers))
            time.sleep(0.03)

    return tell


ORDERS = {
    "first otherwise": (1, tell_otherwise(0, [1, 0, 2, 3])),
    "last otherwise": (1, tell_otherwise(-1, [1, 0, 2, 3])),
    "in between": (1, tell_otherwise(-1, [0, 2, 1, 3])),
    "two overtaken": (2, tell_otherwise(-1, [1, 3, 0, 2])),
    "two overtaken by the first": (2, tell_otherwise(0, [1, 3, 0, 2])),
    "alternately": (
        1, tell_in_turn((0, 0), (1, 1), (0, 1), (1, 0), (0, 2, 3), (1, 2, 3))
    ),
    "one half": (
        1, tell_in_turn((0, 0), (1, 1, 0), (0, 1), (0, 2, 3), (1, 2, 3))
    ),
    "at the end": (
        3, tell_in_turn((0, 0, 1, 2), (1, 3), (0, 3), (1, 0, 1, 2))
    ),
}


def test_order_of_two_speakers(verify):
    """The rule: "All members see the same messages in the same order": two
    who do not see it differ in so many places. What each speaker has said is
    in order, but for the last case."""

    def run(count, tell):
        done = verify(Rounds(2, tell), clients=2, senders=2)
        done.expect(**clean(2, 2), reordered=count)

    each(ORDERS, run)


def test_order_of_two_speakers_to_many(verify):
    """One of many who is told otherwise is one, unless the others are held
    against him."""
    tell = tell_otherwise(-1, [1, 0, 2, 3])
    done = verify(Rounds(4, tell), clients=4, senders=2)
    assert done.json["totals"]["reordered"] in (1, 3)
    assert done.status == FAILED


# --- connections end


@pytest.mark.parametrize("fate", [scripted.cut, scripted.cut_within])
def test_hearers_are_cut(verify, fate):
    """One, or all that do not speak: what they do not hear any more is not
    lost, and nobody waits for it."""

    def run(dialect, places):
        server = Scripted(4, dialect, afflict(places, {10: fate}))
        wanted = clean()
        add(wanted, {"cut": 1, "delivered": 10 - MESSAGES}, len(places))
        verify(server).expect(**wanted)

    together(
        *(
            partial(run, dialect, places)
            for dialect in (Raw(), Text())
            for places in ([3], [1, 2], [1, 2, 3])
        )
    )


def test_speaker_is_cut(verify):
    """It says nothing more; what it had said all others hear."""

    def cut_last(peer, said):
        cut = said.number == 10 and peer.speaks
        return [CUT] if cut else scripted.pass_on(said)

    done = verify(Scripted(4, fate=cut_last), window=1, duration=SOON)
    done.expect(published=11, delivered=4 * 11 - 1, cut=1)


def test_all_are_cut(verify):
    fate = afflict(range(4), {10: scripted.cut})
    done = verify(Scripted(4, fate=fate), window=1, duration=SOON)
    done.expect(published=11, delivered=4 * 10, cut=4)


def test_last_message_is_dropped(verify):
    """Nothing comes behind it, so it is waited for, and then overdue: once,
    however many have not heard it."""

    def run(places):
        fate = afflict(places, {MESSAGES - 1: scripted.drop})
        done = verify(Scripted(4, fate=fate), patience=SOON)
        wanted = clean()
        add(wanted, {"lost": 1, "delivered": -1}, len(places))
        done.expect(**wanted, overdue=1)

    together(partial(run, [1]), partial(run, [0, 1, 2, 3]))


# --- not everybody gets in


def turn_away(number, words):
    """One is told so, and is gone."""

    class Full(Text):
        def welcome(self, peer):
            if peer.number == number:
                peer.send(words, CUT)
            else:
                super().welcome(peer)

    return Full()


def test_one_is_refused(verify):
    """The others go on without it."""

    def run(words, errors):
        done = verify(Scripted(3, turn_away(3, words)))
        done.expect(**clean(3), refused=1, errors=errors)
        assert done.json["totals"]["entered"] == 3

    each(
        {
            "silent": (b"", 0),
            "half an error": (b"! server-full", 0),
            "error": (b"! server-full come later\n", 1),
        },
        run,
    )


def test_one_is_not_welcomed(verify):
    """After a while it is not waited for."""
    server = Scripted(3, Text(), welcomes=lambda number: number != 3)
    done = verify(server, patience=SOON)
    done.expect(**clean(3), refused=1)
    assert server.arrived == 4


def test_nobody_gets_in(verify, load, folder):
    """Exit status 69, whatever the reason."""
    nobody_welcome = Scripted(1, Text(), welcomes=lambda number: False)
    turned_away = verify(nobody_welcome, **SHORT)
    nobody_there = load(
        f"raw+unix://{folder}/nobody", "--duration", 0.1, "--warmup", 0
    )
    for done in (turned_away, nobody_there):
        assert done.status == NOBODY, done
        assert done.json["held"] is False
        totals = done.json["totals"]
        assert totals["refused"] == done.json["plan"]["clients"]
        assert totals["entered"] == totals["published"] == 0
        done.check()


# --- what is said


def said_by(server):
    return {key: said.text for key, said in server.said.items()}


def test_messages(verify, folder):
    """Each speaker numbers its own from 0; nothing is said twice, all are as
    long as they should be, and a seed is always the same."""

    def run(*options, dialect=None, path=None, **how):
        server = Scripted(6, dialect, path=path)
        done = verify(server, *options, clients=6, senders=3, **how)
        done.expect(**clean(6, 3))
        said = said_by(server)
        assert set(said) == set(itertools.product(range(3), range(MESSAGES)))
        return said

    plain, again, other, threads, text, unix, long = together(
        run,
        run,
        partial(run, "--seed", 2),
        partial(run, "--threads", 2),
        partial(run, dialect=Text()),
        partial(run, path=folder / "socket"),
        partial(run, "--size", "20KiB"),
    )
    assert plain == again == threads == text == unix
    assert plain != other
    assert {len(message) for message in plain.values()} == {64}
    assert {len(message) for message in long.values()} == {20 * 1024}
    matters = {message[16:] for message in plain.values()}
    assert len(matters) == len(plain)


def test_input(verify, folder):
    """Its lines are the messages, in turn, whoever speaks."""
    lines = ["", "one", "two: " + "x" * 3000, "/three", "fünf\tsix"]

    def run(ending, dialect):
        file = folder / f"lines-{len(ending)}{dialect.scheme}"
        file.write_bytes(ending.join(lines).encode())
        server = Scripted(3, dialect)
        done = verify(server, "--input", file, clients=3, senders=2)
        done.expect(**clean(3, 2))
        for (speaker, number), text in said_by(server).items():
            name = f"{speaker:06x} {number:08x}:"
            assert text == (name + lines[number % len(lines)]).encode()

    together(
        partial(run, "\n", Raw()),
        partial(run, "\r\n", Raw()),
        partial(run, "\n", Text()),
    )


def test_damaged_input_is_noticed(verify, folder):
    """What is verified are the lines themselves."""
    file = folder / "lines"
    file.write_text("one is here\ntwo is there\n")
    fates = {10: scripted.damage(20), 11: scripted.shorten(-1)}
    server = Scripted(4, fate=afflict([1], fates))
    done = verify(server, "--input", file)
    wanted = clean()
    add(wanted, {"corrupted": 2, "delivered": -2})
    done.expect(**wanted)


class Window(Scripted):
    """Keeps what is said from the last who came, until it is as much as may
    be said, or all there is; and looks whether it becomes more."""

    def __init__(self, clients, window):
        super().__init__(clients)
        self.window = window
        self.kept = []

    def take(self, said):
        self.kept.append(said.line())
        *others, last = sorted(self.members, key=lambda peer: peer.number)
        for peer in others:
            peer.send(said.line())
        is_last = said.number == MESSAGES - 1
        if len(self.kept) == self.window or is_last:
            time.sleep(0.01)
            assert is_last or self.is_quiet(), "more than the window"
            last.send(b"".join(self.kept))
            self.kept.clear()


def test_window(verify):
    """At most so many messages of a speaker that not all have yet; and no
    fewer, if all others have them."""

    def run(window):
        done = verify(Window(3, window), clients=3, window=window)
        done.expect(**clean(3))

    each({window: (window,) for window in (1, 7, MESSAGES)}, run)


# --- time

RATE = 200
PAUSE = 0.1
# What may come between a server's sending and our hearing, on a busy machine.
SLACK = 0.04 * SLOW


def count_longer(times, seconds):
    """How many took so long, and how many did for certain."""
    ns = seconds * 1e9
    buckets = times["buckets_ns"]
    most = sum(count for _, high, count in buckets if high >= ns)
    return most, sum(count for low, _, count in buckets if low >= ns)


PROGRESS = re.compile(
    r" +(\d+) s  published (\d+)/s  delivered (\d+)/s  [\d.]+ MB/s  "
    r"p50 \d+ us  p99 \d+ us  max \d+ us"
)


def check_progress(complaints):
    """A line a second, and nothing else."""
    matches = [PROGRESS.fullmatch(line) for line in complaints.splitlines()]
    assert len(matches) >= 2 and all(matches), complaints
    seconds = [int(match[1]) for match in matches]
    assert seconds == sorted(set(seconds))
    assert all(int(match[3]) > 0 for match in matches), complaints


def lateness(server, rate):
    """By how much later than due each message was passed on, at least: the
    schedule began no later than the promptest message says."""
    due = {key: key[1] / rate for key in server.said}
    begin = min(server.read_at[key] - due[key] for key in due)
    return sorted(
        (server.passed_at[key] - begin - due[key] for key in due), reverse=True
    )


def test_delay_is_charged_to_all_it_delays(verify):
    """A server that does nothing for 100 ms in the middle of a paced run:
    what is due meanwhile is charged from when it was due. That is not more
    than a twentieth of all; it is in the 99th percentile."""
    messages, hearers = 3 * RATE, 4
    server = Scripted(hearers, pauses={messages // 2: PAUSE})
    done = verify(
        server, quiet=False, workload="paced", rate=RATE, window=None,
        messages=messages,
    )
    done.expect(**clean(messages=messages))
    check_progress(done.complaints)
    times = done.json["latency"]
    assert times["count"] == messages * hearers
    assert done.json["rates"]["seconds"] >= 3 - 1 / RATE
    late = lateness(server, RATE)
    for seconds in (0.1, 0.075, 0.05, 0.025):
        # The first that it delays by all of it, the next by 5 ms less, ...
        delayed = int((PAUSE - seconds) * RATE + 1e-6) + 1
        most, least = count_longer(times, seconds)
        assert most >= delayed * hearers, (seconds, times)
        noticed = sum(more >= seconds - SLACK for more in late)
        assert least <= noticed * hearers, (seconds, times, late[:50])
    assert times["max_us"] >= PAUSE * 1e6
    # Six of 600 take longer, the next as much as this.
    assert times["p99_us"] >= (PAUSE - 6 / RATE) * 1e6 - 1
    assert times["p99_us"] <= (late[6] + SLACK) * 1e6
    assert times["p50_us"] <= (late[messages // 2] + SLACK) * 1e6


def test_warmup_is_not_measured(verify):
    """A delay before the measured time is in no figure of it; the checks are
    of all the time."""
    server = Scripted(
        2, fate=afflict([1], {3: scripted.drop}), pauses={20: 8 * SLACK}
    )
    done = verify(
        server, rate=RATE, window=None, clients=2, messages=10**6,
        warmup=16 * SLACK, duration=0.4,
    )
    totals, measured = done.json["totals"], done.json["measured"]
    assert done.status == FAILED
    assert totals["lost"] == 1
    assert measured["lost"] == 0
    assert totals["delivered"] == 2 * totals["published"] - 1
    assert 0 < measured["published"] < totals["published"]
    # What is said in the measured time and heard behind it is measured too.
    assert done.json["latency"]["count"] >= measured["delivered"]
    assert count_longer(done.json["latency"], 6 * SLACK)[1] == 0
    done.check()


def test_what_is_held_back_is_charged(verify):
    """A server that reads nothing for so long that no more can be sent to it:
    what could not be said when it was due has been due since, and is counted
    once."""
    rate, messages, pause = 100, 100, 0.8
    server = Scripted(1, pauses={5: pause})
    done = verify(
        server, workload="paced", rate=rate, window=None, size="256KiB",
        clients=1, messages=messages,
    )
    done.expect(**clean(clients=1, messages=messages))
    assert 0 < done.json["totals"]["held_back"] <= pause * rate + 100 * SLACK
    for seconds in (0.7, 0.4, 0.1):
        delayed = int((pause - seconds) * rate + 1e-6) + 1
        assert count_longer(done.json["latency"], seconds)[0] >= delayed


# --- how it goes on and ends


def test_interrupt_ends_it(load_program, folder):
    """All that was said is waited for, and the report is as ever."""
    file = folder / "json"
    with Scripted(3) as server:
        command = [
            load_program, "--json", file, "--clients", "3", "--senders", "2",
            "--quiet", "--duration", "1000", server.url,
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until(lambda: len(server.said) > 100, "much is said")
        process.send_signal(signal.SIGINT)
        summary, complaints = process.communicate(timeout=WAIT)
    done = report(process.returncode, file, summary, complaints)
    assert done.status == HELD
    totals = done.json["totals"]
    assert totals["published"] == len(server.said)
    assert totals["delivered"] == 3 * totals["published"]
    done.check()


# --- who come and go

VISITS = {"workload": "churn", "clients": 4, "senders": 4}


def test_visits(verify):
    """Each comes, says something, hears it, and goes; so often."""

    def run(dialect, *options):
        server = Scripted(1, dialect)
        done = verify(server, *options, messages=20, **VISITS)
        totals = done.json["totals"]
        assert done.status == HELD, done
        assert totals["published"] == totals["visits"] == 4 * 20
        assert totals["entered"] == server.arrived == 4 * 20
        assert totals["delivered"] >= 4 * 20

    together(
        partial(run, Raw()),
        partial(run, Text()),
        partial(run, Text(), "--threads", 2),
    )


class Clinging(Text):
    """Lets nobody go."""

    def hear(self, peer, line):
        if line != b"/quit":
            super().hear(peer, line)


def test_visits_that_do_not_end(verify):
    """Who waits in vain for its own message has lost it; and a server that
    does not let go has not done what it should."""

    def lose(peer, said):
        is_own = peer is said.peer
        lost = is_own and said.key == (1, 3)
        return [] if lost else scripted.pass_on(said)

    deaf, clinging = together(
        partial(verify, Scripted(1, fate=lose), messages=5, **SHORT, **VISITS),
        partial(
            verify, Scripted(1, Clinging()), messages=2, **SHORT, **VISITS
        ),
    )
    for done in (deaf, clinging):
        assert done.status == FAILED, done
        done.check()
    assert deaf.json["totals"]["lost"] == 1
    assert deaf.json["totals"]["overdue"] == 1
    assert deaf.json["totals"]["visits"] == 3 * 5 + 3
    assert clinging.json["totals"]["lost"] == 0
    assert clinging.json["totals"]["overdue"] == 4
    assert clinging.json["totals"]["visits"] == 0


# --- what it is asked for

BAD_ARGUMENTS = [
    (),
    ("--nonsense", "raw://localhost:1"),
    ("localhost:1",),
    ("raw://",),
    ("raw://localhost",),
    ("raw://localhost:nowhere",),
    ("raw+tls://localhost:1",),
    ("tcp://localhost:1",),
    ("raw+unix://" + "x" * 200,),
    ("secure://localhost:1",),
    17 * ("raw://localhost:1",),
    *(
        (f"--{name}", value, "raw://127.0.0.1:1")
        for name, value in [
            ("workload", "chat"), ("workload", ""),
            ("clients", "0"), ("clients", "-1"), ("clients", "1.5"),
            ("clients", "many"), ("clients", "10x"), ("clients", "nan"),
            ("clients", "1e9"),
            ("rooms", "0"), ("rooms", "101"),
            ("senders", "101"), ("senders", "inf"),
            ("size", "15"), ("size", "1025KiB"), ("size", "64KB"),
            ("size", "-64"), ("size", ""), ("size", "KiB"),
            ("window", "0"), ("window", "65537"),
            ("rate", "0"), ("rate", "-1"), ("rate", "fast"),
            ("messages", "0"), ("messages", "5e9"),
            ("duration", "0"), ("duration", "nan"), ("duration", "1s"),
            ("warmup", "-1"), ("patience", "0"),
            ("slow-share", "1.1"), ("slow-share", "-0.1"), ("stall", "0"),
            ("ramp", "0"), ("sources", "0"), ("sources", "251"),
            ("threads", "0"), ("threads", "65"),
            ("seed", "x"), ("seed", ""), ("server-pid", "0"),
            ("server-pid", "self"),
        ]
    ),
    ("--workload", "mixed", "raw://127.0.0.1:1"),
    ("--size", "4096", "text://127.0.0.1:1"),
    ("--clients", "4", "--senders", "5", "raw://127.0.0.1:1"),
    ("--clients", "4", "--rooms", "5", "raw://127.0.0.1:1"),
    ("--clients", "4", "--rooms", "2", "--senders", "3", "raw://127.0.0.1:1"),
    ("--rate", "5", "--window", "5", "raw://127.0.0.1:1"),
    ("--rate", "5", "--workload", "idle", "raw://127.0.0.1:1"),
    ("--rate", "5", "--workload", "churn", "raw://127.0.0.1:1"),
    ("--workload", "churn", "--senders", "3", "raw://127.0.0.1:1"),
    ("--workload", "echo", "--rooms", "100", "irc://127.0.0.1:1"),
    ("--json",),
]


def test_bad_arguments(load_program):
    """64, and a line that says why; nothing is done."""
    for arguments in BAD_ARGUMENTS:
        done = subprocess.run(
            [load_program, *arguments], capture_output=True, text=True,
            timeout=WAIT,
        )
        assert done.returncode == USAGE, (arguments, done)
        assert done.stderr.count("\n") == 1, (arguments, done)
        assert done.stdout == ""


def test_files(load, folder):
    """66: one that is to be read is not there, or there is nothing in it; 65:
    there is no text in it; 73: it cannot be written."""
    url = f"raw+unix://{folder}/nobody"
    text, empty, binary, long = (folder / n for n in ("a", "b", "c", "d"))
    text.write_text("hello\n")
    empty.write_text("")
    binary.write_bytes(b"hello\n\0\n")
    long.write_text("x" * 4080)
    for status, *options in (
        (NO_INPUT, "--input", folder / "none"),
        (NO_INPUT, "--input", folder),
        (NO_INPUT, "--input", empty),
        (DATA, "--input", binary),
        (NO_INPUT, "--key-file", folder / "none"),
        (NO_FILE, "--json", folder / "none" / "json"),
        (NOBODY, "--input", text),
    ):
        done = load(*options, "--duration", 0.1, "--warmup", 0, url)
        assert done.status == status, (options, done)
    too_long = load("--input", long, f"text+unix://{folder}/nobody")
    assert too_long.status == USAGE


def test_help(load_program):
    """`--help` names the workloads and the options."""
    done = subprocess.run(
        [load_program, "--help"], capture_output=True, text=True, timeout=WAIT
    )
    assert done.returncode == HELD
    for name in (*WORKLOADS, "--patience", "--server-pid", "--json"):
        assert name in done.stdout


# --- real servers


def expect_fanout(done, clients):
    """All heard all, and it took some time."""
    totals = done.json["totals"]
    assert totals["delivered"] == totals["published"] * clients
    assert totals["lagged"] == 0
    assert 0 < done.json["latency"]["min_us"]


def expect_paced(done, clients):
    expect_fanout(done, clients)
    wanted = RATE * done.json["rates"]["seconds"]
    assert abs(done.json["measured"]["published"] - wanted) <= wanted / 4


def expect_echo(done, clients):
    totals = done.json["totals"]
    assert totals["delivered"] == totals["published"] >= clients


def expect_rooms(done, clients):
    expect_fanout(done, clients // 2)


def expect_nothing(done, _):
    totals = done.json["totals"]
    assert totals["published"] == totals["delivered"] == 0
    assert done.json["latency"]["count"] == 0


def expect_visits(done, clients):
    totals = done.json["totals"]
    assert totals["visits"] == totals["entered"] == totals["published"]
    assert totals["published"] >= clients
    assert totals["delivered"] >= totals["published"]


def expect_most(done, clients):
    """Those who are slow may miss something, and are told."""
    totals = done.json["totals"]
    whole = totals["published"] * clients
    assert totals["delivered"] + totals["lagged"] == whole
    assert totals["delivered"] > whole / 2


WORKLOADS = {
    "fanout": (6, expect_fanout, ()),
    "paced": (6, expect_paced, ("--rate", RATE)),
    "echo": (6, expect_echo, ()),
    "rooms": (6, expect_rooms, ("--rooms", 2, "--senders", 3)),
    "idle": (30, expect_nothing, ()),
    "churn": (6, expect_visits, ()),
    "slow": (10, expect_most, ("--stall", 0.1, "--window", 4)),
    "bulk": (3, expect_fanout, ()),
    "mixed": (6, expect_fanout, ()),
}
BRIEFLY = ("--quiet", "--duration", 0.3, "--warmup", 0.1, "--patience", WAIT)


def run_workload(load, workload, urls, *more):
    """A short run, in which all checks hold and the numbers make sense."""
    clients, expect, options = WORKLOADS[workload]
    done = load(
        "--workload", workload, "--clients", clients, *BRIEFLY, *options,
        *more, *urls,
    )
    assert done.status == HELD, done
    assert done.json["held"]
    assert done.json["plan"]["workload"] == workload
    totals = done.json["totals"]
    assert totals["entered"] == clients or workload == "churn"
    assert done.json["entering"]["count"] == totals["entered"], done.json
    assert 0 < done.json["rates"]["seconds"] < WAIT
    assert done.json["server"]["threads"] >= 1
    assert done.json["server"]["resident_bytes"] > 0
    done.check()
    expect(done, clients)


def urls_for(workload, server):
    """The last dialect of the stage, or all of them."""
    if workload != "mixed":
        return server.urls[-1:]
    return server.urls if len(server.urls) > 1 else 2 * server.urls


# Several at the same time, each in rooms of its own.
@pytest.mark.parametrize(
    "workloads",
    [
        ("fanout", "idle", "paced", "churn", "mixed"),
        ("echo", "rooms", "slow", "bulk"),
    ],
    ids="-".join,
)
def test_workloads(load, start_all, workloads, key_file):
    """Each runs against each stage, and all checks hold."""
    server = start_all()
    more = ("--key-file", key_file, "--server-pid", server.pid)
    together(
        *(
            partial(run_workload, load, name, urls_for(name, server), *more)
            for name in workloads
        )
    )


def test_counts_in_each_dialect(load, start_all, stage, key_file):
    """Several rooms, speakers and threads; each dialect, `secure` in the clear
    and sealed, and all together: so many messages, and no others."""
    server = start_all()

    def run(urls, *options):
        done = load(
            "--quiet", "--clients", 24, "--rooms", 4, "--senders", 3,
            "--messages", MESSAGES, "--window", WINDOW, "--threads", 2,
            "--patience", WAIT, "--key-file", key_file, *options, *urls,
        )
        said = 4 * 3 * MESSAGES
        done.expect(published=said, delivered=said * 6)

    runs = [partial(run, [url]) for url in server.urls]
    if "secure" in DIALECTS[stage]:
        sealed = [server.url_of("secure")]
        runs += [partial(run, sealed, "--seal"), partial(run, server.urls)]
    together(*runs)


@pytest.fixture
def start_raw(load_program):
    """Starts tests/load/raw; returns its process and its URL."""
    with ExitStack() as stack:

        def start_program(*arguments):
            process = subprocess.Popen(
                [load_program.with_name("raw"), *arguments],
                stderr=subprocess.PIPE, text=True,
            )
            stack.callback(end_raw, process)
            return process, process.stderr.readline().split()[1]

        yield start_program


def end_raw(process):
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=WAIT)
    assert process.returncode == 0, complaints


@pytest.mark.parametrize(
    "workloads",
    [("fanout", "idle", "slow"), ("paced", "churn", "bulk", "mixed")],
    ids="-".join,
)
def test_raw_relay(load, start_raw, workloads):
    """The least of all servers holds all checks too. It has one room."""

    def run(workload):
        process, url = start_raw("relay")
        urls = [url, url] if workload == "mixed" else [url]
        run_workload(load, workload, urls, "--server-pid", process.pid)

    together(*(partial(run, workload) for workload in workloads))


def test_raw_echo(load, start_raw):
    """Who is alone hears itself."""
    process, url = start_raw("echo")
    run_workload(load, "echo", [url], "--server-pid", process.pid)


def test_raw_blast(load, start_raw):
    """`listen` hears what the server says by itself; to others it is what
    nobody has said."""

    def run(workload, clients):
        count = str(clients)
        _, url = start_raw("blast", "--count", "100", "--clients", count)
        return load(
            "--quiet", "--workload", workload, "--clients", clients,
            "--warmup", 0, "--duration", SOON, url,
        )

    listening, idle = together(
        partial(run, "listen", 3), partial(run, "idle", 1)
    )
    listening.expect(delivered=300, cut=3)
    idle.expect(corrupted=100, cut=1)
