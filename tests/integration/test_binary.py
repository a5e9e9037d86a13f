"""What the binary dialects have in common: the handshake, heartbeats, replies,
errors that do not depend on how bytes are laid out, and the end."""

import re
import signal
import time

import pytest

from binary_client import GUEST, line_of
from timing import SLOW, WAIT, until
from wire_frame import Type

# What bytes mean does not depend on where they come from.
pytestmark = [
    pytest.mark.dialects("frame", "secure"),
    pytest.mark.families("tcp4", "unix"),
]

MAX_CONTENT = {"frame": 16384, "secure": 1048576}


@pytest.fixture(params=MAX_CONTENT)
def dialect(request):
    return request.param


@pytest.fixture
def start(start_all):
    return start_all


def come_in(server, nick, dialect):
    """A client that has had its nick from the first, so that the lobby was
    told of no other."""
    client = server.open(dialect=dialect)
    client.expect_welcome(nick)
    return client


@pytest.fixture
def alice(server, dialect):
    return come_in(server, "alice", dialect)


@pytest.fixture
def bob(server):
    """Somebody who is there as well."""
    return come_in(server, "bob", "frame")


@pytest.fixture
def stranger(server, dialect):
    """A client that has been sent SESSION_INIT, and has said nothing."""
    client = server.open(dialect=dialect)
    client.expect_init()
    return client


def heard_from(member, nick, room="lobby"):
    """Ends a member's session; what it had not heard yet of somebody."""
    known = len(member.transcript)
    member.disconnect()
    return [
        line_of(message)
        for message in member.transcript[known:]
        if getattr(message, "nick", None) == nick and message.room == room
    ]


# --- the handshake


def test_session_init(server, dialect):
    """SESSION_INIT comes first, and tells what the server goes by."""
    clients = [server.open(dialect=dialect) for _ in range(5)]
    inits = [client.expect_init() for client in clients]
    assert {init.heartbeat for init in inits} == {5}
    assert {init.max_content for init in inits} == {MAX_CONTENT[dialect]}
    assert len({init.session for init in inits}) == len(inits)


@pytest.mark.parametrize(
    "seconds, told", [("2.5", 3), ("0.01", 1), ("7", 7), ("0", 0)]
)
def test_heartbeat_is_announced(start, dialect, seconds, told):
    """The "heartbeat interval in seconds (rounded up, 0 none)"."""
    server = start("--heartbeat", seconds)
    assert server.open(dialect=dialect).expect_init().heartbeat == told


def test_limits_are_announced(start, dialect):
    """And how much may be sent."""
    server = start("--max-frame", "1000", "--max-message", "2000")
    limit = {"frame": 1000, "secure": 2000}[dialect]
    assert server.open(dialect=dialect).expect_init().max_content == limit


def test_nick_is_given_or_made(server, dialect):
    """SESSION_ACK with a nick, or "empty: a guest nick"."""
    guests = [server.connect(dialect=dialect) for _ in range(5)]
    assert all(GUEST.fullmatch(guest.nick) for guest in guests)
    assert len({guest.nick for guest in guests}) == 5
    alice = server.open(dialect=dialect)
    alice.expect_welcome("Alice")
    assert sorted(alice.ask_list("who")) == sorted(
        ["Alice", "end of who", *[guest.nick for guest in guests]]
    )


@pytest.mark.parametrize(
    "nick", ["9lives", "a b", "a\nb", "guest-12ab", "GUEST-12345678", "é"]
)
def test_bad_nick(stranger, nick):
    """`bad-name`; guests' nicks "cannot be asked for, neither with `/nick` nor
    in SESSION_ACK". It does not close."""
    stranger.send(stranger.make_ack(nick))
    stranger.expect_error("bad-name")
    stranger.enter("alice")


def test_nick_in_use(stranger, bob):
    """The rule: "after an error that does not close (a nick in use)
    SESSION_ACK may be sent again"."""
    for _ in range(3):
        stranger.send(stranger.make_ack("BOB"))
        stranger.expect_error("nick-in-use")
    stranger.enter("alice")
    bob.say("hello")
    assert stranger.hear_messages("lobby", 1) == ["bob: hello"]


BEFORE_WELCOME = {
    "ping": lambda client: client.make_beat("ping", 1),
    "message": lambda client: client.make_message("hello", id=1),
    "long-message": lambda client: client.make_message("hello" * 100),
    "command": lambda client: client.make_command("who", id=1),
    "disconnect": lambda client: client.make_disconnect(),
    "offer": lambda client: client.make_offer(),
    "unknown": lambda client: client.make_unknown(40),
    "welcome": lambda client: client.make_unknown(Type.WELCOME),
}


@pytest.mark.parametrize("what", BEFORE_WELCOME)
def test_anything_but_session_ack_first(stranger, bob, what):
    """`handshake`: "anything but SESSION_ACK first". It closes."""
    stranger.send(BEFORE_WELCOME[what](stranger) + stranger.make_ack("eve"))
    stranger.expect_closed("handshake")
    assert bob.ask_list("who") == ["bob", "end of who"]


def test_anything_but_session_ack_after_an_error(stranger, bob):
    """Who is not welcome yet has one thing to say still."""
    stranger.send(stranger.make_ack("bob"))
    stranger.expect_error("nick-in-use")
    stranger.send(stranger.make_command("who"))
    stranger.expect_closed("handshake")


def test_session_ack_after_welcome(alice, bob):
    """`handshake`: "SESSION_ACK after WELCOME"."""
    alice.send(alice.make_ack("eve"))
    alice.expect_closed("handshake")


def test_handshake_and_more_in_one_piece(stranger, bob):
    """Who need not wait for WELCOME may go on at once."""
    stranger.send(
        stranger.make_ack("alice")
        + stranger.make_message("hello", id=1)
        + stranger.make_command("echo done", id=2)
    )
    assert stranger.take(Type.WELCOME).nick == "alice"
    assert stranger.take(Type.REPLY).text == "done"
    assert stranger.take_ack().id == 1
    assert bob.hear_messages("lobby", 1) == ["alice: hello"]


def test_nobody_sees_it_before_welcome(server, stranger, bob):
    """Every session starts in `lobby`, "a binary one from its WELCOME on;
    before that nobody sees it"."""
    passing = server.open(dialect="frame")
    passing.expect_init()
    passing.close()
    assert bob.ask_list("who") == ["bob", "end of who"]
    stranger.enter("alice")
    assert bob.hear("lobby") == "* alice joined"
    assert sorted(bob.ask_list("who")) == ["alice", "bob", "end of who"]
    bob.say("hello")
    assert stranger.hear("lobby") == "bob: hello"


def test_handshake_timeout(start, dialect):
    """`timeout`: "no handshake in `--handshake-timeout`", whatever of it has
    come; who has been welcomed is not concerned."""
    seconds = 0.3 * SLOW
    server = start("--handshake-timeout", str(seconds))
    alice = server.person("alice", dialect=dialect)
    silent, slow, refused = [server.open(dialect=dialect) for _ in range(3)]
    begin = time.monotonic()
    for client in silent, slow, refused:
        client.expect_init()
    slow.send(slow.make_ack("bob")[:-1])
    refused.send(refused.make_ack("alice"))
    refused.expect_error("nick-in-use")
    for client in silent, slow, refused:
        client.expect_closed("timeout")
    assert time.monotonic() - begin > 0.9 * seconds
    assert alice.ask("echo here") == "here"


def test_server_full(start, dialect):
    """`server-full`: "instead of SESSION_INIT or the welcome"."""
    server = start("--max-connections", "2")
    people = [server.connect(dialect="text"), server.connect(dialect=dialect)]
    for _ in range(3):
        server.open(dialect=dialect).expect_closed("server-full")
    people[0].close()

    def welcomed():
        client = server.open(dialect=dialect)
        return client.take_next().type == Type.SESSION_INIT

    until(welcomed, "there is room again")


def test_shutdown(server, dialect, alice, stranger, bob):
    """`shutdown` for each, also who is not welcome yet: "everything queued is
    sent first", "nobody is told `left`"."""
    texts = [f"{n} {'x' * 100}" for n in range(100)]
    bob.say(*texts)
    bob.hear_messages("lobby", len(texts))
    server.signal(signal.SIGTERM)
    stranger.expect_closed("shutdown")
    heard = alice.hear_messages("lobby", len(texts))
    assert heard == [f"bob: {text}" for text in texts]
    for client in alice, bob:
        client.expect_closed("shutdown")
        client.close()
    stranger.close()
    assert server.wait_exit() == 0


# --- messages and what answers them


def test_acks(alice, bob):
    """ACK: "the message has its place in the room"; `id` 0, or none, "asks
    for no ACK"."""
    alice.join("den")
    bob.join("den")
    for number, id in enumerate([7, 0, 4294967295, 1], start=1):
        alice.send(alice.make_message(f"text {number}", id=id))
    for client in alice, bob:
        for number in range(1, 5):
            message = client.hear_event("den")
            while message.type == Type.NOTICE:
                message = client.hear_event("den")
            assert (message.seq, message.text) == (number, f"text {number}")
            assert abs(message.time / 1e6 - time.time()) < 120
    acks = [alice.take_ack() for _ in range(3)]
    assert [(ack.id, ack.seq) for ack in acks] == [
        (7, 1), (4294967295, 3), (1, 4)
    ]


def test_a_thousand_messages_in_one_piece(alice, bob):
    """All of them in order, with ACKs that rise by one."""
    count = 1000
    texts = [f"text {n}" for n in range(count)]
    alice.send(
        b"".join(
            alice.make_message(text, id=n)
            for n, text in enumerate(texts, start=1)
        )
    )
    for client in alice, bob:
        heard = client.hear_messages("lobby", count)
        assert heard == [f"alice: {text}" for text in texts]
    acks = [alice.take_ack() for _ in range(count)]
    numbers = list(range(1, count + 1))
    assert [ack.id for ack in acks] == numbers
    assert [ack.seq for ack in acks] == numbers


def test_answers_come_in_the_order_of_the_requests(alice):
    """The rule: "Replies, errors and ACKs come in the order of the requests
    that they answer", whichever rooms these are about."""
    count = 300
    rooms = [f"den-{number}" for number in range(7)]
    for room in rooms:
        alice.join(room)
    begin = len(alice.transcript)
    made = [
        lambda id: alice.make_command("who", id),
        lambda id: alice.make_command("nothing", id),
        lambda id: alice.make_message("hello", id, room=rooms[id % 7]),
        lambda id: alice.make_message("hello", id, room="nowhere"),
        lambda id: alice.make_message("hello", id, to="nobody"),
    ]
    for id in range(1000, 1000 + count):
        alice.send(made[id % len(made)](id))
    alice.command("echo that was all")
    while alice.reply() != "that was all":
        pass
    answered = [
        message.id
        for message in alice.transcript[begin:]
        if getattr(message, "id", 0) >= 1000
    ]
    assert sorted(answered) == answered
    assert len(set(answered)) == count


def test_message_to_a_room(alice, bob):
    """A target is a room one is in, current or not, in any case of letters,
    with a leading `#` if one likes."""
    alice.join("Den")
    alice.join("pub")
    bob.join("den")
    for room in "den", "DEN", "#Den":
        alice.say(f"to {room}", room=room)
        assert bob.hear_messages("Den", 1) == [f"alice: to {room}"]
    alice.say("to the pub")
    assert alice.hear_messages("pub", 1) == ["alice: to the pub"]


def test_private_message(alice, bob):
    """A private message "has seq 0 and room `@`", and its ACK seq 0."""
    bob.become("Bob")
    alice.send(alice.make_message("psst", to="bOB", id=9))
    message = bob.take(Type.MESSAGE)
    assert (message.room, message.seq) == ("@", 0)
    assert (message.nick, message.text) == ("alice", "psst")
    ack = alice.take_ack()
    assert (ack.id, ack.seq) == (9, 0)


# What is said, to whom, and how it is refused.
REFUSED = [
    ("", {}, "usage"),
    ("", {"to": "bob"}, "usage"),
    ("hello", {"room": "nowhere"}, "no-such-room"),
    ("hello", {"room": "pub"}, "no-such-room"),
    ("hello", {"room": "a/b"}, "bad-name"),
    ("hello", {"room": "x" * 33}, "bad-name"),
    ("hello", {"to": "nobody"}, "no-such-nick"),
    ("hello", {"to": "9lives"}, "bad-name"),
    ("a\nb", {}, "bad-text"),
    ("a\rb", {}, "bad-text"),
    ("hello\n", {}, "bad-text"),
    ("\x1b[31m", {}, "bad-text"),
    ("\x00", {}, "bad-text"),
    ("\x7f", {}, "bad-text"),
    ("\x85", {}, "bad-text"),
    (b"\xff", {}, "bad-text"),
    (b"\xc3", {}, "bad-text"),
    (b"\xed\xa0\x80", {}, "bad-text"),
    ("a\nb", {"to": "bob"}, "bad-text"),
]


def test_messages_that_are_refused(server, alice, bob):
    """An ERROR "takes its place", with the id; it does not close, and nobody
    else hears of it."""
    server.person("cleo", "pub", dialect="text")
    for id, (text, where, error) in enumerate(REFUSED):
        alice.send(alice.make_message(text, id=id, **where))
        alice.expect_error(error, id)
    alice.say("good\tat last")
    alice.hear_messages("lobby", 1)
    assert heard_from(bob, "alice") == ["alice: good\tat last"]


def test_message_without_a_room(alice):
    """The rule: "A session that leaves its last room has no current room:
    sending is error `no-room`"."""
    assert alice.ask("leave") == "left lobby"
    alice.send(alice.make_message("hello", id=5))
    alice.expect_error("no-room", 5)
    alice.join("den")
    alice.send(alice.make_message("hello", id=6))
    assert alice.take_ack().id == 6


def test_double_slash_is_no_command(alice):
    """Only a line of text begins with a slash that means something."""
    alice.say("/who", "//who")
    heard = alice.hear_messages("lobby", 2)
    assert heard == ["alice: /who", "alice: //who"]


# --- commands


def test_help(alice):
    """One line a command, the last one with `more` 0."""
    lines = alice.ask_list("help")
    assert all(re.fullmatch(r"/\w+.* — .+", line) for line in lines), lines
    words = {re.match(r"/(\w+)", line)[1] for line in lines}
    assert words >= {"help", "echo", "nick", "join", "msg", "quit"}


ONE_LINE = [
    ("time", r"time \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    ("ping", r"pong rtt_us=\d+"),
    ("echo  two  spaces", " two  spaces"),
    ("echo * star", r"\* star"),
    ("nick eve", "you are now eve"),
    ("join #Den", r"joined Den \(1 members\)"),
    ("leave", "left lobby"),
    ("leave lobby", "left lobby"),
    ("msg bob hello", "sent to bob"),
    ("topic", "topic lobby: "),
    ("topic tea", "topic lobby: tea"),
    ("throughput", "throughput in=.* since connected in=.*"),
]


@pytest.mark.parametrize("line, form", ONE_LINE)
def test_command_with_one_reply(alice, bob, line, form):
    """The reply "without the leading `* `", and without `more`."""
    text = alice.ask(line)
    assert re.fullmatch(form, text), text


LISTS = [
    ("who", {"alice", "bob"}),
    ("who LOBBY", {"alice", "bob"}),
    ("rooms", {"room lobby 2 members"}),
]


@pytest.mark.parametrize("line, expected", LISTS)
def test_command_with_a_list(alice, bob, line, expected):
    """The last one is "`end of …` where there is one"."""
    *lines, end = alice.ask_list(line)
    assert set(lines) == expected
    assert end == f"end of {line.split()[0]}"


def test_metrics(alice):
    """`/metrics`: one NAME VALUE a REPLY, then the end."""
    *lines, end = alice.ask_list("metrics")
    assert end == "end of metrics"
    values = dict(line.split(" ") for line in lines)
    assert values["clients_active"] == "1"
    assert int(values["my_bytes_in"]) > 0


def test_notices(alice, bob):
    """What a room is told, in the form of NOTICE."""
    bob.join("den")
    alice.join("den")
    alice.become("eve")
    alice.ask("topic tea")
    alice.say("hello")
    alice.ask("leave")
    notices = [bob.hear_event("den") for _ in range(5)]
    told = [(notice.kind, notice.nick, notice.text)
            for notice in notices if notice.type == Type.NOTICE]
    assert told == [
        ("joined", "alice", ""), ("nick", "alice", "eve"),
        ("topic", "eve", "tea"), ("left", "eve", ""),
    ]


@pytest.mark.parametrize("id", [0, 1, 4294967295])
def test_replies_have_the_id(alice, id):
    """REPLY and ERROR carry the id of what they answer."""
    alice.send(alice.make_command("who", id=id))
    replies = [alice.take(Type.REPLY) for _ in range(2)]
    assert [(reply.id, reply.more) for reply in replies] == [
        (id, True), (id, False)
    ]
    alice.send(alice.make_command("nonsense", id=id))
    alice.expect_error("unknown-command", id)


COMMAND_ERRORS = [
    ("", "unknown-command"),
    ("nonsense", "unknown-command"),
    ("/who", "unknown-command"),
    ("TIME", "unknown-command"),
    ("time now", "usage"),
    ("nick", "usage"),
    ("nick 9", "bad-name"),
    ("nick guest-12ab", "bad-name"),
    ("nick bob", "nick-in-use"),
    ("join a/b", "bad-name"),
    ("leave pub", "no-such-room"),
    ("msg bob", "usage"),
    ("msg nobody hello", "no-such-nick"),
    ("echo a\nb", "bad-text"),
    ("echo \x1b[31m", "bad-text"),
    ("topic \x00", "bad-text"),
    (b"echo \xff", "bad-text"),
    ("who\n", "bad-text"),
]


def test_commands_that_are_refused(alice, bob):
    """Each error does not close, and answers its id."""
    for line, error in COMMAND_ERRORS:
        alice.expect_error(error, alice.command(line))
    assert alice.ask("topic") == "topic lobby: "


def test_too_many_rooms(alice):
    """A session "is a member of at most 16 rooms"."""
    for number in range(15):
        alice.join(f"room{number}")
    alice.expect_error("too-many-rooms", alice.command("join room15"))


FILE_TYPES = [
    Type.FILE_OFFER, Type.FILE_ACCEPT, Type.FILE_DATA, Type.FILE_END
]


def test_unavailable(alice):
    """`unavailable`: a transfer of files, whatever is said of it; it does not
    close."""
    alice.send(alice.make_offer())
    alice.expect_error("unavailable")
    for number in FILE_TYPES:
        alice.send(alice.make_unknown(number, b"x" * 1000))
        alice.expect_error("unavailable")
    assert alice.ask("echo on") == "on"


@pytest.mark.parametrize("number", [0, 12, 15, 20, 255, 65535])
def test_unknown_type(alice, number):
    """`unknown-type`: "the body is skipped", whatever is in it."""
    for body in b"", b"x" * 10000:
        alice.send(
            alice.make_unknown(number, body) + alice.make_message("on")
        )
        alice.expect_error("unknown-type")
        assert alice.hear_messages("lobby", 1) == ["alice: on"]


@pytest.mark.parametrize(
    "number",
    [Type.SESSION_INIT, Type.ERROR, Type.REPLY, Type.NOTICE, Type.ACK,
     Type.WELCOME],
)
def test_type_of_the_server(alice, number):
    """`bad-frame`: "a type only servers send". It closes."""
    alice.send(alice.make_unknown(number))
    alice.expect_closed("bad-frame")


# --- heartbeats


def test_pings_come_at_the_interval(start, dialect):
    """A ping "every `--heartbeat` seconds"; one that answers stays."""
    interval = 0.1 * SLOW
    alice = start("--heartbeat", str(interval)).connect(dialect=dialect)
    begin = time.monotonic()
    stamps = [alice.take_ping().stamp for _ in range(8)]
    assert 8 * interval * 0.8 < time.monotonic() - begin < WAIT / 2
    assert len(set(stamps)) == len(stamps)
    assert alice.ask("echo here") == "here"


def answer_nothing(client, ping):
    pass


def answer_another_stamp(client, ping):
    client.send(client.make_beat("pong", ping.stamp + 1000))


def say_something(client, ping):
    client.say("I live")


def ping_back(client, ping):
    client.send(client.make_beat("ping", ping.stamp))


@pytest.mark.parametrize(
    "answer",
    [answer_nothing, answer_another_stamp, say_something, ping_back],
)
def test_unanswered_pings(start, dialect, answer):
    """The rule: "three in a row without a pong (nothing else counts as one)
    close the session with `timeout` when a fourth is due"."""
    interval = 0.2 * SLOW
    server = start("--heartbeat", str(interval))
    alice = server.connect(dialect=dialect)
    begin = time.monotonic()
    alice.answers_pings = False
    for _ in range(3):
        answer(alice, alice.take_ping())
    alice.expect_closed("timeout")
    assert time.monotonic() - begin > 4 * interval * 0.9
    kinds = [m.kind for m in alice.transcript if m.type == Type.HEARTBEAT]
    assert kinds.count("ping") == 3


def test_an_answer_counts_once(start, dialect):
    """The rule: "A pong must carry the stamp of a ping that has not been
    answered"."""
    server = start("--heartbeat", str(0.1 * SLOW))
    alice = server.connect(dialect=dialect)
    alice.answers_pings = False
    first = alice.take_ping()
    alice.answer(first)
    for _ in range(3):
        alice.take_ping()
        alice.answer(first)
    alice.expect_closed("timeout")


def test_a_late_answer(start, dialect):
    """An answer to one ping is none to those after it."""
    server = start("--heartbeat", str(0.1 * SLOW))
    alice = server.connect(dialect=dialect)
    alice.answers_pings = False
    first, *_ = [alice.take_ping() for _ in range(3)]
    alice.answer(first)
    alice.take_ping()
    alice.expect_closed("timeout")
    kinds = [m.kind for m in alice.transcript if m.type == Type.HEARTBEAT]
    assert kinds == ["ping"] * 4


def test_one_answer_in_three(start, dialect):
    """Any pong begins the count anew."""
    server = start("--heartbeat", str(0.25 * SLOW))
    alice = server.connect(dialect=dialect)
    alice.answers_pings = False
    for _ in range(3):
        pings = [alice.take_ping() for _ in range(3)]
        alice.answer(pings[-1])
    assert alice.ask("echo here") == "here"
    for _ in range(3):
        alice.take_ping()
    alice.expect_error("timeout")


def test_no_heartbeat(start, dialect):
    """0: none."""
    alice = start("--heartbeat", "0").connect(dialect=dialect)
    alice.listen(0.5 * SLOW)
    alice.ping(5)
    kinds = [m.kind for m in alice.transcript if m.type == Type.HEARTBEAT]
    assert kinds == ["pong"]


@pytest.mark.parametrize("stamp", [0, 1, 77, 2**53 - 1])
def test_ping_of_a_client(alice, stamp):
    """The rule: "a ping is answered at once by a pong with the same
    stamp"."""
    alice.ping(stamp)


def test_round_trip_time(start, dialect):
    """`/ping` says "the last heartbeat's; 0 where there is none"."""
    server = start("--heartbeat", str(0.3 * SLOW))
    alice = server.connect(dialect=dialect)
    alice.answers_pings = False
    assert alice.ask("ping") == "pong rtt_us=0"
    ping = alice.take_ping()
    time.sleep(0.2)
    alice.answer(ping)
    round_trip_us = int(alice.ask("ping").removeprefix("pong rtt_us="))
    assert 100_000 <= round_trip_us < 5_000_000
    metrics = alice.ask_list("metrics")
    [latency] = [m for m in metrics if m.startswith("latency_max_us ")]
    assert int(latency.split()[1]) >= 100_000


# --- bytes that come slowly


def test_messages_sent_byte_by_byte(server, dialect, bob):
    """A stream has no packets: a message is one wherever it is cut."""
    alice = server.open(dialect=dialect)
    alice.expect_init()
    for data in (
        alice.make_ack("alice"),
        alice.make_beat("ping", 77),
        alice.make_message("héllo", id=7),
        alice.make_command("echo done", id=8),
    ):
        for byte in data:
            alice.send(bytes([byte]))
    assert alice.take(Type.WELCOME).nick == "alice"
    assert alice.take(Type.REPLY).text == "done"
    assert alice.take_pong().stamp == 77
    assert alice.take_ack().id == 7
    assert bob.hear_messages("lobby", 1) == ["alice: héllo"]


def test_message_split_at_every_byte(alice, bob):
    """The same with one cut at a time."""
    length = len(alice.make_message("héllo"))
    for cut in range(1, length):
        data = alice.make_message("héllo")
        alice.send(data[:cut])
        alice.send(data[cut:])
        assert bob.hear_messages("lobby", 1) == ["alice: héllo"]


def test_frame_timeout(start, dialect):
    """`timeout`: "a frame begun and not finished in `--frame-timeout`",
    however much of it has come, and however slowly; between two frames there
    is all the time in the world."""
    seconds = 0.4 * SLOW
    server = start("--frame-timeout", str(seconds))
    head, body, slow = [server.connect(dialect=dialect) for _ in range(3)]
    begin = time.monotonic()
    head.send(head.make_message("hello")[:3])
    body.send(body.make_message("hello")[:-1])
    for byte in slow.make_message("hello" * 20)[:30]:
        slow.send(bytes([byte]))
        time.sleep(seconds / 40)
    for client in head, body, slow:
        client.expect_closed("timeout")
    assert time.monotonic() - begin > 0.9 * seconds


def test_no_frame_timeout_between_frames(start, dialect):
    """The time begins with the first byte, and ends with the last."""
    seconds = 0.3 * SLOW
    server = start("--frame-timeout", str(seconds))
    alice = server.connect(dialect=dialect)
    for _ in range(2):
        data = alice.make_command("echo here")
        alice.send(data[:5])
        time.sleep(seconds / 2)
        alice.send(data[5:])
        assert alice.take(Type.REPLY).text == "here"
        time.sleep(seconds * 1.5)
    assert alice.ask("echo here") == "here"


def test_silence_is_no_matter(start, dialect):
    """`--idle-timeout` is of "a `text` client", and `--handshake-timeout` is
    over with WELCOME."""
    seconds = str(0.2 * SLOW)
    server = start("--idle-timeout", seconds, "--handshake-timeout", seconds)
    alice = server.connect(dialect=dialect)
    alice.listen(0.5 * SLOW)
    assert alice.ask("echo here") == "here"


def test_no_deadline_while_nobody_reads(start, dialect):
    """The rule: "No deadline on what the peer must send runs while the server
    itself is not reading from it", as with `--rate`: "delay, never loss"."""
    server = start("--rate", "20", "--heartbeat", str(0.1 * SLOW),
                   "--frame-timeout", str(0.1 * SLOW))
    alice = server.connect(dialect=dialect)
    texts = [f"text {n}" for n in range(60)]
    begin = time.monotonic()
    alice.say(*texts)
    heard = alice.hear_messages("lobby", len(texts))
    assert heard == [f"{alice.nick}: {text}" for text in texts]
    assert time.monotonic() - begin > 0.8


# --- the end


def test_disconnect(alice, bob):
    """The server "sends what is queued, answers DISCONNECT 0, and closes";
    what comes after it has no effect."""
    texts = [f"text {n}" for n in range(50)]
    alice.say(*texts)
    alice.send(alice.make_disconnect() + alice.make_message("too late"))
    alice.read_to_end()
    heard = alice.hear_messages("lobby", 50)
    assert heard == [f"alice: {text}" for text in texts]
    alice.expect_disconnect()
    assert bob.hear_messages("lobby", 50) == heard
    assert bob.hear("lobby") == "* alice left"


def test_quit(alice, bob):
    """The rule: "`/quit` is answered by REPLY `bye`, then DISCONNECT 0"."""
    alice.say("before")
    alice.send(
        alice.make_command("quit", id=5) + alice.make_message("too late")
    )
    bye = alice.take(Type.REPLY)
    assert (bye.id, bye.more, bye.text) == (5, False, "bye")
    alice.expect_disconnect()
    assert alice.hear_messages("lobby", 1) == ["alice: before"]
    assert heard_from(bob, "alice")[-2:] == ["alice: before", "* alice left"]


def leave_by_disconnect(client):
    client.disconnect()


def leave_by_quit(client):
    client.command("quit")


def leave_by_the_end(client):
    client.half_close()


def leave_by_a_fault(client):
    client.send(client.make_unknown(Type.WELCOME))


@pytest.mark.parametrize(
    "leave, reason",
    [(leave_by_disconnect, "disconnect"), (leave_by_quit, "quit"),
     (leave_by_the_end, "eof"), (leave_by_a_fault, "bad-frame")],
    ids=["disconnect", "quit", "eof", "fault"],
)
def test_reason_is_logged(server, alice, leave, reason):
    """The log says why a session ended."""
    leave(alice)
    alice.read_to_end()
    alice.close()
    server.wait_event("disconnected", nick="alice", reason=reason)


def test_half_close(alice, bob):
    """What a session sent before "the end of its stream" has been sent back
    to it before the server closes, and all is answered."""
    alice.send(
        b"".join(alice.make_message(f"text {n}", id=n) for n in range(1, 51))
        + alice.make_command("echo done", id=51)
    )
    alice.half_close()
    alice.read_to_end()
    heard = [f"alice: text {n}" for n in range(1, 51)]
    assert alice.hear_messages("lobby", 50) == heard
    assert [alice.take_ack().id for _ in range(50)] == list(range(1, 51))
    assert alice.take(Type.REPLY).text == "done"
    assert bob.hear_messages("lobby", 50) == heard


@pytest.mark.parametrize("left", [1, 3, -1], ids=str)
def test_end_within_a_frame(alice, bob, left):
    """The rule: "An end of stream within a frame closes silently", and what
    came before it took effect."""
    whole = alice.make_message("whole")
    alice.send(whole + alice.make_message("half")[:left])
    alice.half_close()
    alice.read_to_end()
    assert not any(m.type == Type.ERROR for m in alice.transcript)
    assert bob.hear_messages("lobby", 1) == ["alice: whole"]
    assert bob.hear("lobby") == "* alice left"


def test_end_within_the_handshake(stranger, bob):
    """The same before WELCOME, and nobody has noticed."""
    stranger.send(stranger.make_ack("alice")[:-1])
    stranger.half_close()
    stranger.expect_end()
    assert bob.ask_list("who") == ["bob", "end of who"]


def test_reset(alice, bob):
    """A reset is no harm to the others."""
    alice.reset(alice.make_message("half")[:-1])
    assert bob.hear("lobby") == "* alice left"
    assert bob.ask("echo on") == "on"


# --- errors that close


def test_what_came_before_a_fault_takes_effect(alice, bob):
    """The rule: "Frames and lines that arrived whole before the faulty one
    take effect; nothing after it does"."""
    alice.send(
        b"".join(alice.make_message(f"text {n}", id=n) for n in range(1, 21))
        + alice.make_unknown(Type.WELCOME)
        + alice.make_message("too late", id=21)
    )
    alice.read_to_end()
    alice.expect_error("bad-frame")
    assert [alice.take_ack().id for _ in range(20)] == list(range(1, 21))
    told = [f"alice: text {n}" for n in range(1, 21)]
    assert bob.hear_messages("lobby", 20) == told
    assert bob.hear("lobby") == "* alice left"


def test_fault_is_not_overtaken(alice, bob):
    """The error arrives even when the peer goes on sending: "so that a reset
    does not overtake the error"."""
    alice.send(alice.make_unknown(Type.WELCOME))
    for _ in range(16):
        alice.send(b"x" * 16384)
    alice.expect_closed("bad-frame")
