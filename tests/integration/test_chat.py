"""What people see of one another: rooms, names, commands."""

import re
import threading
import time
from collections import Counter
from datetime import datetime, timezone

import pytest

from timing import WAIT, together, until

# --- what a room promises


def test_all_members_see_the_same_order(server):
    """The rule: "All members see the same messages in the same order", each
    once, and a sender receives its own message "in its place in that
    order"."""
    senders = [server.person(nick, "den") for nick in ("ann", "bea", "cleo")]
    listener = server.person("dora", "den")
    count = 150  # fewer than a Unix socket holds unread, however short

    def talk(sender):
        for number in range(count):
            sender.say(f"message {number}")
        return listen(sender)

    def listen(member):
        return member.hear_messages("den", count * len(senders))

    heard, *orders = together(
        lambda: listen(listener),
        *[lambda who=who: talk(who) for who in senders],
    )
    assert all(order == heard for order in orders)
    assert max(Counter(heard).values()) == 1
    for sender in senders:
        own = [line for line in heard if line.startswith(sender.nick + ":")]
        assert own == [f"{sender.nick}: message {n}" for n in range(count)]


def test_a_room_is_not_heard_elsewhere(server):
    """A room message goes to "All members", so to nobody else."""
    alice, bob = server.person("alice", "den"), server.person("bob", "pub")
    alice.say("in the den")
    assert alice.hear_messages("den", 1) == ["alice: in the den"]
    bob.say("/quit")
    assert not any("in the den" in line for line in bob.read_to_end())


def test_who_joins_hears_all_from_then_on(server):
    """A joiner "sees what comes after its own `joined`", without gaps."""
    alice, bob = server.person("alice", "den"), server.person("bob")
    joined = threading.Event()
    count = 150  # fewer than a Unix socket holds unread, however short
    spoken = [*[f"alice: {n}" for n in range(count)], "alice: last"]

    def talk():
        for number in range(count):
            alice.say(str(number))
        joined.wait(WAIT)
        alice.say("last")
        return alice.hear_messages("den", len(spoken))

    def come_in():
        bob.join("den")
        joined.set()
        heard = bob.hear_messages("den", 1)
        while heard[-1] != "alice: last":
            heard += bob.hear_messages("den", 1)
        return heard

    all_of_it, tail = together(talk, come_in)
    assert all_of_it == spoken
    assert tail == spoken[-len(tail) :]


def test_who_leaves_hears_nothing_after(server):
    """It sees "nothing that comes after its own `left`", but "what was in
    the room before a leaving" it does see."""
    alice, bob = server.person("alice", "den"), server.person("bob", "den")
    alice.say(*[f"before {n}" for n in range(20)], "/leave")
    alice.expect("* left den")
    bob.say("after")
    assert bob.hear_messages("den", 21)[-1] == "bob: after"
    alice.say("/quit")
    in_den = [line for line in alice.read_to_end() if line.startswith("[den]")]
    assert in_den == [
        "[den] * bob joined",
        *[f"[den] alice: before {n}" for n in range(20)],
    ]


def test_presence_is_told_to_the_others(server):
    """The forms of `joined`, `left` and `nick`; "Who joins or leaves gets
    its reply only", who changes its nick "sees the room's notice"."""
    alice, bob = server.person("alice", "den"), server.person("bob")
    assert bob.ask("/join den") == "* joined den (2 members)"
    assert alice.hear("den") == "* bob joined"
    bob.become("robert")
    assert alice.hear("den") == "* bob is now robert"
    assert bob.hear("den") == "* bob is now robert"
    assert bob.ask("/leave den") == "* left den"
    assert alice.hear("den") == "* robert left"
    bob.say("/quit")
    in_den = [line for line in bob.read_to_end() if line.startswith("[den]")]
    assert in_den == ["[den] * bob is now robert"]


def test_a_new_nick_is_told_in_every_room(server):
    """`/nick NAME`: "rooms: `[room] * old is now NAME`"."""
    alice = server.person("alice", "den", "pub")
    alice.hear("lobby")
    alice.become("eve")
    for room in ("lobby", "den", "pub"):
        assert alice.hear(room) == "* alice is now eve"


def test_coming_and_going_is_told_in_the_lobby(server):
    """The rule: "Every session starts in the room `lobby`" as one that joins
    it, and leaves its rooms when it goes."""
    alice = server.connect()
    bob = server.connect()
    assert alice.hear("lobby") == f"* {bob.nick} joined"
    bob.say("/quit")
    assert alice.hear("lobby") == f"* {bob.nick} left"


def test_presence_limit(start):
    """Presence "is told to a room of at most `--presence-limit` members (64),
    the one concerned counted. Above that only the asker's reply tells"."""
    server = start("--presence-limit", "3")
    alice = server.person("alice", "den")
    bob = server.person("bob", "den")
    cleo = server.person("cleo", "den")
    dora = server.person("dora")
    assert dora.ask("/join den") == "* joined den (4 members)"
    dora.become("doris")
    assert dora.ask("/leave den") == "* left den"
    assert cleo.ask("/leave den") == "* left den"
    bob.become("robert")
    assert [alice.hear("den") for _ in range(4)] == [
        "* bob joined",
        "* cleo joined",
        "* cleo left",
        "* bob is now robert",
    ]


def test_a_room_ends_with_its_last_member(server):
    """The rule: "A room ends with its last member. The next one of that name
    begins at seq 1, without a topic" and with its name as then written."""
    alice = server.person("alice", "Den")
    assert alice.ask("/topic tea") == "* topic Den: tea"
    assert alice.ask("/leave") == "* left Den"
    assert alice.ask("/who den").startswith("! no-such-room")
    assert alice.ask_list("/rooms", "* end of rooms") == [
        "* room lobby 1 members"
    ]
    assert alice.ask("/join DEN") == "* joined DEN (1 members)"
    assert alice.ask("/topic") == "* topic DEN: "


def test_a_room_ends_with_a_connection(server):
    """A session that goes is a member no more, and its nick is free."""
    alice = server.person("alice", "den")
    server.person("bob", "den", "pub").close()
    assert [alice.hear("den") for _ in range(2)] == [
        "* bob joined",
        "* bob left",
    ]
    rooms = alice.ask_list("/rooms", "* end of rooms")
    assert sorted(rooms) == ["* room den 1 members", "* room lobby 1 members"]
    alice.become("bob")


# --- the current room


def test_current_room(server):
    """The rule: "one *current* room, the last one joined. Joining a room one
    is in makes it the last joined, and tells nobody"."""
    alice = server.person("alice", "den", "pub")
    bob = server.person("bob", "den")
    alice.say("to the pub")
    assert alice.hear_messages("pub", 1) == ["alice: to the pub"]
    assert alice.ask("/join den") == "* joined den (2 members)"
    alice.say("to the den")
    assert bob.hear("den") == "alice: to the den"


def test_current_room_after_leaving(server):
    """Of the rooms that remain, "the last one joined" is current; leaving
    another room changes nothing."""
    alice = server.person("alice", "a", "b", "c", "b")
    for leaving, current in (("", "c"), (" a", "c"), ("", "lobby")):
        alice.say(f"/leave{leaving}")
        assert alice.reply().startswith("* left ")
        alice.say(f"now {current}")
        assert alice.hear_messages(current, 1) == [f"alice: now {current}"]


def test_no_current_room(server):
    """The rule: "A session that leaves its last room has no current room:
    sending is error `no-room`"; what would be about the current room is,
    too."""
    alice = server.person("alice")
    assert alice.ask("/leave") == "* left lobby"
    for line in ("hello", "/leave", "/who", "/topic", "/topic tea"):
        alice.say(line)
        alice.expect_error("no-room")
    assert alice.ask("/join den") == "* joined den (1 members)"
    alice.say("hello")
    assert alice.hear("den") == "alice: hello"


def test_at_most_16_rooms(server):
    """A session "is a member of at most 16 rooms"."""
    alice = server.person("alice", *[f"room{n}" for n in range(15)])
    alice.say("/join room15")
    alice.expect_error("too-many-rooms")
    assert alice.ask("/join room3") == "* joined room3 (1 members)"
    assert alice.ask("/leave lobby") == "* left lobby"
    assert alice.ask("/join room15") == "* joined room15 (1 members)"


# --- names


def test_welcome(server):
    """The rule: "On connecting: `* welcome to ringchat, you are guest-1a2b, in
    lobby; /help lists commands`", every guest with a nick of its own."""
    guests = [server.connect() for _ in range(10)]
    assert len({guest.nick for guest in guests}) == 10
    guests[0].say("hello")
    for guest in guests:
        assert guest.hear_messages("lobby", 1) == [f"{guests[0].nick}: hello"]


def test_room_names_are_compared_without_case(server):
    """Rooms are "compared without regard to case, kept as first written. A
    leading `#` is accepted and dropped"."""
    alice, bob = server.person("alice", "Tea.Room"), server.person("bob")
    assert bob.ask("/join #tEA.rOOM") == "* joined Tea.Room (2 members)"
    bob.say("hi")
    assert alice.hear_messages("Tea.Room", 1) == ["bob: hi"]
    assert bob.ask("/leave #TEA.ROOM") == "* left Tea.Room"


@pytest.mark.families("unix")
@pytest.mark.parametrize("room", ["x", "x" * 32, "A.b-c_9", "-", "...", "#7"])
def test_good_room_names(server, room):
    """`[A-Za-z0-9_.-]{1,32}`."""
    name = room.lstrip("#")
    joined = server.connect().ask(f"/join {room}")
    assert joined == f"* joined {name} (1 members)"


@pytest.mark.families("unix")
@pytest.mark.parametrize("room", ["x" * 33, "a/b", "##a", "#", "é", "a,b"])
def test_bad_room_names(server, room):
    """`bad-name`: a room "that breaks the rule"."""
    alice = server.connect()
    alice.say(f"/join {room}")
    alice.expect_error("bad-name")


@pytest.mark.families("unix")
@pytest.mark.parametrize(
    "nick",
    ["x", "x" * 24, "_a-9", "guest", "guest-123", "guest-123456789",
     "guest-wxyz", "guest-"],
)
def test_good_nicks(server, nick):
    """`[A-Za-z_][A-Za-z0-9_-]{0,23}`; "`guest-` followed by anything else is
    an ordinary nick"."""
    server.connect().become(nick)


@pytest.mark.families("unix")
@pytest.mark.parametrize(
    "nick",
    ["x" * 25, "9lives", "-a", "a.b", "#a", "é", "guest-12ab", "GUEST-12AB",
     "guest-12345678"],
)
def test_bad_nicks(server, nick):
    """`bad-name`: a nick "that breaks the rule"; `guest-` nicks "cannot be
    asked for"."""
    alice = server.connect()
    alice.say(f"/nick {nick}")
    alice.expect_error("bad-name")


def test_nicks_are_unique_without_case(server):
    """Nicks are "compared without regard to case, unique on the server", and
    free again when their owner takes another or goes."""
    alice, bob = server.person("Alice"), server.person("bob")
    bob.say("/nick aLICE")
    bob.expect_error("nick-in-use")
    alice.become("eve")
    bob.become("aLICE")
    bob.say("/quit")
    bob.read_to_end()
    until(
        lambda: alice.ask("/nick alice") == "* you are now alice",
        "the nick of one that went is free",
    )


# --- commands


def test_help_lists_every_command(server):
    """`/help`: one "`* /command — what it does` line a command"."""
    alice = server.connect()
    alice.say("/help", "/echo that is all")
    lines = alice.replies_until("that is all")
    assert all(re.fullmatch(r"\* /\w+.* — .+", line) for line in lines), lines
    words = {re.match(r"\* /(\w+)", line)[1] for line in lines}
    assert words >= {
        "help", "time", "ping", "echo", "nick", "join", "leave", "rooms",
        "who", "msg", "topic", "metrics", "throughput", "quit",
    }


def test_time(server):
    """`* time 2026-11-21T05:25:41.123456Z`."""
    line = server.connect().ask("/time")
    time_form = r"\* time \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    assert re.fullmatch(time_form, line), line
    told = datetime.fromisoformat(line.removeprefix("* time ").rstrip("Z"))
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    assert abs((now - told).total_seconds()) < 120


def test_ping(server, family):
    """`* pong rtt_us=183`: "the kernel's smoothed round-trip time of this
    connection", and "0 where there is none"."""
    line = server.connect().ask("/ping")
    assert re.fullmatch(r"\* pong rtt_us=\d+", line), line
    round_trip_us = int(line.rpartition("=")[2])
    assert (round_trip_us == 0) == (family == "unix")


@pytest.mark.families("unix")
@pytest.mark.parametrize(
    "text", ["x", " two spaces ", "/nick alice", "//", "tab\there", "é€😀"]
)
def test_echo(server, text):
    """`/echo TEXT`: "`TEXT`, exactly"; "further spaces belong to TEXT"."""
    assert server.connect().ask(f"/echo {text}") == text


def test_private_message(server):
    """Receiver: `(private) SENDER: TEXT`; asker: `* sent to NICK`. Nobody
    else hears of it."""
    alice, bob = server.person("alice"), server.person("Bob")
    cleo = server.person("cleo")
    assert alice.ask("/msg bob psst  now") == "* sent to Bob"
    bob.expect("(private) alice: psst  now")
    assert alice.ask("/msg Bob  spaced") == "* sent to Bob"
    bob.expect("(private) alice:  spaced")
    cleo.say("/quit")
    assert not any("(private)" in line for line in cleo.read_to_end())


def test_private_messages_keep_their_order(server):
    """Private messages arrive once and in the order they were sent."""
    alice, bob = server.person("alice"), server.person("bob")
    alice.say(*[f"/msg bob {n}" for n in range(300)])
    together(
        lambda: alice.expect(*["* sent to bob"] * 300),
        lambda: bob.expect(*[f"(private) alice: {n}" for n in range(300)]),
    )


def test_private_message_to_nobody(server):
    """`no-such-nick`."""
    alice = server.person("alice")
    alice.say("/msg nobody hello?")
    alice.expect_error("no-such-nick")


def test_topic(server):
    """`* topic ROOM: TEXT`; "on change the room is told `[ROOM] * nick set
    the topic: TEXT`", and who changes it sees that "like the others"."""
    alice, bob = server.person("alice", "den"), server.person("bob", "den")
    alice.hear("den")
    assert bob.ask("/topic") == "* topic den: "
    assert bob.ask("/topic tea  at four") == "* topic den: tea  at four"
    for member in (alice, bob):
        assert member.hear("den") == "* bob set the topic: tea  at four"
    assert alice.ask("/topic") == "* topic den: tea  at four"
    alice.say("hello")
    assert bob.hear("den") == "alice: hello"


def test_who(server):
    """`/who [ROOM]`: "one `* NICK` line a member", "then `* end of who`", of
    the current room or the one named."""
    alice = server.person("alice", "den", "pub")
    server.person("Bob", "den")
    assert alice.ask_list("/who", "* end of who") == ["* alice"]
    in_den = alice.ask_list("/who #DEN", "* end of who")
    assert sorted(in_den) == ["* Bob", "* alice"]


def test_rooms(server):
    """`/rooms`: "one `* room NAME N members` line a room", "then `* end of
    rooms`"."""
    alice = server.person("alice", "Den", "pub")
    server.person("bob", "den")
    rooms = alice.ask_list("/rooms", "* end of rooms")
    assert sorted(rooms) == [
        "* room Den 2 members",
        "* room lobby 2 members",
        "* room pub 1 members",
    ]


@pytest.mark.families("unix")
def test_who_over_a_thousand(server):
    """`/who`: "after 1,000 `* and N more`"."""
    clients = [server.connect() for _ in range(1003)]
    *nicks, more = clients[0].ask_list("/who", "* end of who")
    assert more == "* and 3 more"
    everyone = {f"* {client.nick}" for client in clients}
    assert len(set(nicks)) == len(nicks) == 1000
    assert set(nicks) <= everyone


@pytest.mark.families("unix")
def test_rooms_over_a_thousand(server):
    """`/rooms`: "after 1,000 `* and N more`"."""
    clients = [server.connect() for _ in range(67)]
    for number, client in enumerate(clients):
        for room in range(15):
            client.join(f"room-{number}-{room}")
    *rooms, more = clients[0].ask_list("/rooms", "* end of rooms")
    assert more == "* and 6 more"
    assert len(set(rooms)) == len(rooms) == 1000
    form = r"\* room (room-\d+-\d+ 1|lobby 67) members"
    assert all(re.fullmatch(form, line) for line in rooms)


SERVER_METRICS = [
    "clients_active", "rooms_active", "messages_total", "deliveries_total",
    "bytes_in_total", "bytes_out_total", "latency_p50_us", "latency_p99_us",
    "latency_max_us", "backpressured", "lagged_total", "errors_total",
    "uptime_s",
]
MY_METRICS = [
    "my_messages", "my_connected_s", "my_bytes_in", "my_bytes_out",
    "my_rtt_us", "my_retransmits", "my_loss_percent",
]


def metrics(client):
    lines = client.ask_list("/metrics", "* end of metrics")
    forms = [re.fullmatch(r"\* (\w+) (\d+(?:\.\d+)?)", line) for line in lines]
    assert all(forms), lines
    return {form[1]: float(form[2]) for form in forms}


def test_metrics_names(server, family):
    """`/metrics`: "`* NAME VALUE` lines, then `* end of metrics`"; those of
    the link are "0 on Unix sockets"."""
    values = metrics(server.connect())
    assert sorted(values) == sorted(SERVER_METRICS + MY_METRICS)
    if family == "unix":
        for name in ("my_rtt_us", "my_retransmits", "my_loss_percent"):
            assert values[name] == 0


def test_metrics_values(server):
    """What the metrics count is what was done."""
    alice, bob = server.person("alice", "den"), server.person("bob", "den")
    bob.say("/nonsense")
    bob.expect_error("unknown-command")
    alice.say("one", "two", "three")
    for member in (alice, bob):
        member.hear_messages("den", 3)
    until(
        lambda: metrics(alice)["deliveries_total"] == 6,
        "3 messages to 2 members are 6 deliveries",
    )
    values = metrics(alice)
    expected = {
        "clients_active": 2, "rooms_active": 2, "messages_total": 3,
        "lagged_total": 0, "errors_total": 1, "my_messages": 3,
    }
    assert {name: values[name] for name in expected} == expected
    assert values["bytes_in_total"] >= values["my_bytes_in"] >= 14
    assert values["bytes_out_total"] >= values["my_bytes_out"] >= 14
    assert values["latency_p50_us"] <= values["latency_max_us"]
    assert values["uptime_s"] >= values["my_connected_s"]


def test_throughput(server):
    """`* throughput in=BYTES/s out=BYTES/s messages=N/s`, "over the last
    10 s and since it connected"."""
    alice = server.connect()
    alice.say(*["hello"] * 20)
    alice.hear_messages("lobby", 20)
    rates = r"in=[\d.]+/s out=[\d.]+/s messages=[\d.]+/s"
    line = alice.ask("/throughput")
    form = rf"\* throughput {rates} since connected {rates}"
    assert re.fullmatch(form, line), line


def test_quit(server):
    """`/quit`: "`* bye`, then closed"."""
    alice = server.connect()
    assert alice.ask("/quit") == "* bye"
    alice.expect_end()


# --- errors


ERRORS = [
    ("/", "unknown-command"),
    ("/nonsense", "unknown-command"),
    ("/TIME", "unknown-command"),
    ("/timex", "unknown-command"),
    ("/help me", "usage"),
    ("/time now", "usage"),
    ("/ping bob", "usage"),
    ("/echo", "usage"),
    ("/echo ", "usage"),
    ("/nick", "usage"),
    ("/nick a b", "usage"),
    ("/nick 9 9", "usage"),
    ("/nick 9", "bad-name"),
    ("/nick bob", "nick-in-use"),
    ("/join", "usage"),
    ("/join a b", "usage"),
    ("/join a/b", "bad-name"),
    ("/leave a b", "usage"),
    ("/leave nowhere", "no-such-room"),
    ("/leave pub", "no-such-room"),
    ("/rooms all", "usage"),
    ("/who a b", "usage"),
    ("/who nowhere", "no-such-room"),
    ("/who pub", "no-such-room"),
    ("/msg", "usage"),
    ("/msg bob", "usage"),
    ("/msg nobody hello", "no-such-nick"),
    ("/metrics all", "usage"),
    ("/throughput all", "usage"),
    ("/quit now", "usage"),
]


@pytest.mark.families("unix")
@pytest.mark.parametrize("line, error", ERRORS)
def test_error(server, line, error):
    """Each error when its row says; it does not close, and goes "to the
    asker alone"."""
    alice, bob = server.person("alice", "den"), server.person("bob", "pub")
    alice.say(line)
    alice.expect_error(error)
    assert alice.ask("/echo still here") == "still here"
    bob.say("/quit")
    assert not any(error in line for line in bob.read_to_end())


@pytest.mark.families("unix")
@pytest.mark.parametrize(
    "line, form",
    [
        ("/nick", "/nick NAME"),
        ("/join", "/join ROOM"),
        ("/leave a b", "/leave [ROOM]"),
        ("/msg bob", "/msg NICK TEXT"),
        ("/echo", "/echo TEXT"),
        ("/who a b", "/who [ROOM]"),
        ("/time now", "/time"),
    ],
)
def test_usage_shows_the_form(server, line, form):
    """`usage`: "the detail shows the form"."""
    alice = server.connect()
    alice.say(line)
    assert form in alice.expect_error("usage")


def test_names_stand_between_runs_of_spaces(server):
    """Names have no spaces, so those around them are not theirs."""
    alice, bob = server.person("alice"), server.person("bob")
    assert alice.ask("/join   den  ") == "* joined den (1 members)"
    assert bob.ask("/msg alice hi") == "* sent to alice"


# What a request is answered with; a message, with nothing.
REQUESTS = [
    ("/join den-{}\nhello", "* joined den-"),
    ("/nothing {}", "! unknown-command"),
    ("bad \x01 text", "! bad-text"),
    ("/msg nobody-{} hello", "! no-such-nick"),
    ("/leave den", "! no-such-room"),
    ("/topic tea at {}", "* topic den-"),
]


def test_answers_come_in_the_order_of_the_requests(server):
    """The rule: "Replies, errors and ACKs come in the order of the requests
    that they answer", whichever rooms these are about: so that an `/echo`
    tells that all before it has been answered."""
    alice = server.person("alice")
    asked, answers = [], []
    for number in range(300):
        line, answer = REQUESTS[number % len(REQUESTS)]
        asked += [line.format(number % 7), f"/echo so much for {number}"]
        answers += [answer, f"so much for {number}"]
    alice.say(*asked)
    for answer in answers:
        assert alice.reply().startswith(answer)


# --- rate


def test_rate_delays_and_never_loses(start):
    """`--rate`: "messages and commands a second from one session, with a
    burst of twice that"; over it "delay, never loss"."""
    server = start("--rate", "20")
    alice = server.connect()
    begin = time.monotonic()
    alice.say(*[f"/echo {n}" for n in range(30)])
    alice.say(*[f"message {n}" for n in range(30)])
    alice.half_close()
    lines = alice.read_to_end()
    seconds = time.monotonic() - begin
    assert [line for line in lines[1:] if line[0] != "["] == [
        str(n) for n in range(30)
    ]
    assert [line for line in lines if line[0] == "["] == [
        f"[lobby] {alice.nick}: message {n}" for n in range(30)
    ]
    # 40 at once, the other 20 in a second; the clocks may differ a little.
    assert seconds > 0.8


def test_rate_is_a_session_s_own(start):
    """`--rate`: "the server stops reading from that session", so from no
    other."""
    server = start("--rate", "5")
    alice, bob = server.connect(), server.connect()
    alice.say(*[f"/echo {n}" for n in range(15)])
    begin = time.monotonic()
    assert bob.ask("/echo mine") == "mine"
    answered = time.monotonic() - begin
    alice.expect(*[str(n) for n in range(15)])
    assert answered < time.monotonic() - begin


@pytest.mark.families("unix")
def test_rate_is_no_silence(start):
    """"No deadline on what the peer must send runs while the server itself is
    not reading from it": who is delayed is not idle."""
    server = start("--rate", "1", "--idle-timeout", "0.5")
    alice = server.connect()
    alice.say(*[f"/echo {n}" for n in range(4)])
    alice.expect("0", "1", "2", "3")
