"""Many at once: all of them are served, none of them dearly."""

import re

import pytest

import proc
from capabilities import STALL_OPTION
from crowd import (
    answer, ask, crowd_size, gather, metric, mixed, request, unpinged,
)
from stalling import LINE, STALLED
from timing import WAIT, until

# --- a hundred that talk


MEMBERS = 100
SPEAKERS = 4
# What all speakers say in one go, twice over, is far less than the window of
# 1 MiB: who misses any of that was not sent what it was due.
BURST = 16
BURSTS = 32  # 8 MB: more than Linux lets a TCP socket hold, and the window
WARM_UP = 4
WINDOW = 1 << 20
# Beside the window: what is under way to a hundred, and whole segments.
ALLOWANCE = 1 << 20
# For where a stage is known to stall: shorter than WAIT, and still no time in
# which one of a hundred is merely late.
PATIENT = WAIT / 2


def burst(speakers, number):
    """Each speaker says much, all of it in one piece."""
    lines = [f"{number}.{n} {LINE}" for n in range(BURST)]
    for speaker in speakers:
        speaker.say(*lines, seconds=PATIENT)


def said_in(speakers, bursts):
    """What each speaker has said in these bursts, as it is heard."""
    return {
        speaker.nick: [f"{b}.{n}" for b in bursts for n in range(BURST)]
        for speaker in speakers
    }


def hear_burst(member):
    """A burst's worth of what is said, as (nick, number). It is whole, and
    nothing else is told."""
    heard = []
    for _ in range(SPEAKERS * BURST):
        nick, _, text = member.hear("den", PATIENT).partition(": ")
        number, _, rest = text.partition(" ")
        assert rest == LINE, f"{nick}: {text[:60]}"
        heard.append((nick, number))
    member.forget()
    return heard


def chat(speakers, members, bursts, after_each=lambda: None):
    """Talks in bursts, each of them said before the last one is heard.
    Everybody hears everything, in one order."""
    heard = [[] for _ in members]

    def listen():
        for member, lines in zip(members, heard):
            lines += hear_burst(member)
        after_each()

    burst(speakers, bursts[0])
    for number in bursts[1:]:
        burst(speakers, number)
        listen()
    listen()
    assert all(order == heard[0] for order in heard)
    assert {
        speaker.nick: [n for nick, n in heard[0] if nick == speaker.nick]
        for speaker in speakers
    } == said_in(speakers, bursts)


def read_on(member, last):
    """Reads what has been left unread; returns how many messages it was, and
    how many it is told it has missed."""
    heard, missed, line = 0, 0, ""
    while line != last:
        line = member.hear("den")
        lagged = re.fullmatch(r"\* lagged: (\d+) messages missed", line)
        missed += int(lagged[1]) if lagged else 0
        heard += 0 if lagged else 1
    return heard, missed


@pytest.mark.capability("stalled_reader_harmless")
def test_one_of_a_hundred_stalls(start_all, stage, sanitized, measured):
    """The rule: "A member that reads too slowly slows nobody", "When it falls
    behind by more than the room's window it is told how many messages it
    missed", and more than the window nobody keeps for it."""
    server = start_all(
        STALL_OPTION[stage], str(100 * WAIT), "--presence-limit", "0",
        *unpinged(stage),
    )
    members = gather(server, mixed(stage, MEMBERS), "den")
    speakers = members[1 : 1 + SPEAKERS]  # of each dialect
    chat(speakers, members, range(WARM_UP))

    bob = server.person("bob", "den", dialect="text", **STALLED)
    before, peaks = proc.resident_bytes(server.pid), []
    chat(
        speakers, members, range(WARM_UP, WARM_UP + BURSTS),
        lambda: peaks.append(proc.resident_bytes(server.pid)),
    )
    speakers[0].say("last")
    heard, missed = read_on(bob, f"{speakers[0].nick}: last")
    assert missed > 0
    assert heard + missed == BURSTS * SPEAKERS * BURST + 1
    if not sanitized:
        grown = max(peaks) - before
        measured(
            f"stage {stage}: one of {MEMBERS} stalls for 8 MB of messages: "
            f"the server grows by {grown / 1024:,.0f} KiB"
        )
        assert grown <= WINDOW + ALLOWANCE


# --- thousands that listen


def leave_in_three_ways(crowd):
    """Some end the stream and read to its end, some break it off, some just
    go. Returns those that have read to the end."""
    for client in crowd[::3]:
        client.half_close()
    for client in crowd[1::3]:
        client.reset()
    for client in crowd[2::3]:
        client.close()
    for client in crowd[::3]:
        client.read_to_end()
        client.close()
    return crowd[::3]


def test_thousands_hear_one(start_all, stage, sanitized):
    """The rule: "All members see the same messages", however many, and when
    they have gone nothing of them is left."""
    count = crowd_size(stage, sanitized)
    server = start_all("--presence-limit", "0", *unpinged(stage))
    witness = server.connect(dialect="text")
    before = proc.descriptors(server.pid), proc.threads(server.pid)

    crowd = gather(server, mixed(stage, count))
    assert metric(witness, "clients_active") == count + 1
    assert witness.ask_list("/rooms", "* end of rooms") == [
        f"* room lobby {count + 1} members"
    ]
    speaker = crowd[-1]
    speaker.say("hello, everybody")
    for client in (*crowd, witness):
        assert client.hear("lobby") == f"{speaker.nick}: hello, everybody"

    for client in leave_in_three_ways(crowd):
        assert client.unheard("lobby") == []
    until(
        lambda: metric(witness, "clients_active") == 1,
        "nobody is left but the witness",
    )
    until(
        lambda: (proc.descriptors(server.pid), proc.threads(server.pid))
        == before,
        "no descriptor and no thread is left",
    )
    assert witness.ask_list("/rooms", "* end of rooms") == [
        "* room lobby 1 members"
    ]


IDLE_BYTES = 400

# What a worker costs besides is its own, whoever it serves.
ONE_WORKER = {5: ("--workers", "1")}


@pytest.mark.unsanitized
@pytest.mark.capability("idle_costs_400_bytes")
def test_what_idle_members_cost(launch, stage, measured):
    """What a text client that only listens, in a room with all the others,
    adds to the server's resident memory."""
    count = crowd_size(stage, sanitized=False)
    server = launch(
        "--listen", "text://127.0.0.1:0", *ONE_WORKER.get(stage, ())
    )
    # What the first ones make the server touch is not what each one costs.
    first = gather(server, ["text"] * (count // 10))
    before = proc.resident_bytes(server.pid)
    rest = gather(server, ["text"] * (count - len(first)))
    each = (proc.resident_bytes(server.pid) - before) / len(rest)
    measured(
        f"stage {stage}: {count:,} idle text members cost {each:,.0f} bytes "
        "of resident memory each"
    )
    assert each <= IDLE_BYTES


# --- thousands that move


PRESENCE_LIMIT = 64  # the default
ROOMFUL = 5000
VISITORS = 200
ROUNDS = 10
WHO_LINES = 1000


def pong(client):
    assert re.fullmatch(r"pong rtt_us=\d+", ask(client, "ping"))


def place_from(line):
    """Of how many members the one who joined is the last."""
    joined = re.fullmatch(r"joined den \((\d+) members\)", line)
    assert joined, line
    return int(joined[1])


def storm_in(members, bystander):
    """All join at once; returns them in the order in which they did."""
    for number, member in enumerate(members):
        request(member, "join den")
        if number % 500 == 0:
            pong(bystander)
    places = [place_from(answer(member)) for member in members]
    assert sorted(places) == list(range(1, len(members) + 1))
    return [member for _, member in sorted(
        zip(places, members), key=lambda pair: pair[0]
    )]


def come_and_go(members, visitors, bystander):
    """While somebody talks, half of the visitors join as the other half
    leave. Who is in hears what is said after its reply, and only that."""
    inside, outside = visitors[::2], visitors[1::2]
    for visitor in inside:
        visitor.join("den")
    for number in range(ROUNDS):
        inside, outside = outside, inside
        for come, go in zip(inside, outside):
            request(come, "join den")
            request(go, "leave den")
        for come, go in zip(inside, outside):
            # The two halves are of one size, so it stays about that.
            place = place_from(answer(come))
            assert 0 < place - len(members) <= len(visitors)
            assert answer(go) == "left den"
        pong(bystander)
        members[0].say(f"round {number}")
        said = f"{members[0].nick}: round {number}"
        assert all(visitor.hear("den") == said for visitor in inside)
    for visitor in inside:
        assert ask(visitor, "leave den") == "left den"
    assert all(visitor.unheard("den") == [] for visitor in visitors)


def test_storm_of_joins(start_all, stage, sanitized):
    """"Presence (`joined`, `left`, `nick`) is told to a room of at most
    `--presence-limit` members (64), the one concerned counted"; "it sees what
    comes after its own `joined` and nothing that comes after its own `left`",
    and elsewhere life goes on."""
    count = crowd_size(stage, sanitized, ROOMFUL)
    server = start_all(*unpinged(stage))
    bystander = server.person("eve", "elsewhere", dialect="text")
    members = storm_in(gather(server, mixed(stage, count)), bystander)
    # A binary client takes for a gap what is said while it is not there.
    visitors = gather(server, ["text"] * VISITORS)
    come_and_go(members, visitors, bystander)

    for place, member in enumerate(members, start=1):
        later = members[place:PRESENCE_LIMIT]
        expected = [f"* {other.nick} joined" for other in later] + [
            f"{members[0].nick}: round {number}" for number in range(ROUNDS)
        ]
        assert [member.hear("den") for _ in expected] == expected
        assert member.unheard("den") == []

    # All leave at once, and the bystander comes to see them go.
    assert place_from(ask(bystander, "join den")) == count + 1
    *listed, rest = bystander.ask_list("/who", "* end of who")
    if count + 1 > WHO_LINES:
        assert (len(listed), rest) == (
            WHO_LINES, f"* and {count + 1 - WHO_LINES} more"
        )
    else:
        assert len({*listed, rest}) == count + 1
    for member in members:
        request(member, "leave den")
    pong(bystander)
    for member in members:
        assert answer(member) == "left den"
    bystander.say("alone")
    gone = {bystander.hear("den") for _ in range(PRESENCE_LIMIT - 1)}
    assert bystander.hear("den") == "eve: alone"
    assert gone < {f"* {member.nick} left" for member in members}
    assert len(gone) == PRESENCE_LIMIT - 1
    assert bystander.ask_list("/who", "* end of who") == ["* eve"]
