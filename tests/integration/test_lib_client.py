"""The client of libringchat with real servers: in every dialect it talks,
is confirmed, is told what is wrong, and comes back."""

import re
import signal
import subprocess
import time

import pytest

from client import connect_socket
from conftest import built
from driven import UNKNOWN
from timing import SLOW, WAIT, until

# What servers owe each other's clients the stages have in common, and is asked of
# each elsewhere; here of the first and of the last, which alone answers by way
# of other workers.
pytestmark = [
    pytest.mark.families("tcp4", "unix"), pytest.mark.stages(1, 5)
]

# Soon enough for a test, and no two clients at once.
HASTY = ("--backoff-first", "20", "--backoff-max", "200")
MANY = 2000
# What comes first, and what the next server has.
LOBBY = "lobby"


@pytest.fixture
def chat(start_all, drive, family, spoken):
    """A server, and clients of the library that speak the dialect at hand."""
    return Chat(start_all, drive, family, spoken)


class Chat:
    def __init__(self, start_all, drive, family, spoken):
        self._start, self._drive = start_all, drive
        self._family, self.spoken = family, spoken
        self.server = None

    def begin(self, *options):
        self.server = self._start(*options, family=self._family)
        self.url = self.server.url_of(self.spoken)
        return self.server

    def client(self, *options):
        return self._drive(self.url, *options, dialect=self.spoken)

    def visitor(self, nick, *rooms):
        """Somebody who speaks the same dialect by a client of the tests."""
        return self.server.person(nick, *rooms, dialect=self.spoken)

    def kill(self):
        self.server.signal(signal.SIGKILL)
        assert self.server.wait_exit() == -signal.SIGKILL

    def begin_again(self, launch, key_file, *options):
        """The next server, in the place of the one before."""
        listeners = ["--listen", self.url]
        if self.url.startswith("secure"):
            listeners += ["--key-file", key_file]
        self.server = launch(*listeners, *options)
        return self.server

    @property
    def binary(self):
        return self.spoken != "text"

    def seq(self, number):
        """A place in a room, where the dialect tells it."""
        return number if self.binary else 0


def is_open(client):
    return client.becomes("open")


# --- talking


@pytest.mark.parametrize("loop", [(), ("--own-loop",)], ids=["callers", "own"])
def test_conversation(chat, loop):
    """Two who hear each other, in a room and in private."""
    chat.begin()
    bob = chat.visitor("bob", "den")
    ada = chat.client("--nick", "ada", "--join", "den", *loop)
    is_open(ada)
    assert bob.hear("den") == "* ada joined"
    assert ada.stand()["rooms"] == ["den"]
    assert ada.done("say - good morning")["seq"] == chat.seq(1)
    assert bob.hear("den") == "ada: good morning"
    ada.again()
    ada.expect("message", room="den", nick="ada", text="good morning")
    bob.say("good morning, ada")
    heard = ada.expect("message", nick="bob", text="good morning, ada")
    assert (heard["room"], heard["seq"]) == ("den", chat.seq(2))
    assert ada.done("tell bob between us")["seq"] == 0
    assert bob.reply() == "(private) ada: between us"


def test_lines_that_look_like_commands(chat):
    chat.begin()
    ada = chat.client()
    is_open(ada)
    for text in ("/quit", "//", "/", " ", "\ttab", "~1", "[lobby] bob: hi", "é"):
        ada.done(f"say - {text}")
        ada.again()
        assert ada.expect("message", text=text)["room"] == LOBBY


def test_said_before_it_is_open(chat):
    """What is asked for at once waits, in its order; so does the end."""
    chat.begin()
    ada = chat.client("--nick", "ada")
    ada.tell("join den", "say - one", "whisper den two", "say lobby three", "close")
    ada.becomes("closed", error="", code="")
    heard = [e for e in ada.all("message") if e["room"] == "den"]
    assert [e["text"] for e in heard] == ["one", "two"]
    assert [e["error"] for e in ada.all("done")] == ["", "", ""]
    ada.again()
    ada.expect("message", room=LOBBY, text="three")


def test_commands(chat):
    chat.begin()
    chat.visitor("bob", "den")
    ada = chat.client("--nick", "ada", "--join", "den", "--join", "attic")
    is_open(ada)
    ticket = ada.ask("command who den")
    assert ada.expect("reply", ticket=ticket)["text"] in ("ada", "bob")
    ada.expect("reply", ticket=ticket, text="end of who")
    ada.expect("done", ticket=ticket, error="")
    ada.done("command topic of the attic")
    ada.again()
    ada.expect("topic", room="attic", nick="ada", text="of the attic")
    ticket = ada.ask("command topic")
    ada.expect("reply", ticket=ticket, text="topic attic: of the attic")


def test_rooms_and_nick(chat):
    chat.begin()
    bob = chat.visitor("bob", "den")
    ada = chat.client("--nick", "ada")
    is_open(ada)
    assert ada.stand()["rooms"] == [LOBBY]
    ada.tell("join #den")
    ada.expect("joined", room="den", nick="ada")
    ada.expect("done", error="")
    assert bob.hear("den") == "* ada joined"
    assert ada.stand()["rooms"] == [LOBBY, "den"]
    ada.done("nick lovelace")
    assert bob.hear("den") == "* ada is now lovelace"
    assert ada.stand()["nick"] == "lovelace"
    ada.done("join lobby")
    assert ada.stand()["rooms"] == ["den", LOBBY]
    ada.tell("command leave")
    ada.expect("left", room=LOBBY)
    ada.done("command leave den")
    assert bob.hear("den") == "* lovelace left"
    assert ada.stand()["rooms"] == []
    ada.fails("say - to nobody", "no-room")
    ada.done("command join den")
    assert ada.stand()["rooms"] == ["den"]


def test_what_is_wrong(chat):
    """The errors of the table, each with what it answers."""
    chat.begin()
    chat.visitor("bob")
    ada = chat.client("--nick", "ada")
    is_open(ada)
    ada.fails("nick bob", "nick-in-use")
    ada.fails("tell carol hi", "no-such-nick")
    ada.fails("say den hi", "no-such-room")
    ada.fails("leave den", "no-such-room")
    ada.fails("command dance", "unknown-command")
    ada.fails("command join", "usage")
    ada.fails("command join a/b", "bad-name")
    ada.fails("command nick guest-0000", "bad-name")
    for number in range(15):
        ada.done(f"join room{number}")
    ada.fails("join one.more", "too-many-rooms")
    assert len(ada.stand()["rooms"]) == 16
    ada.tell("whisper den nobody awaits this")
    ada.expect("fault", code="no-such-room")
    ada.done("say - and it goes on")


def test_what_is_not_even_sent(chat):
    chat.begin()
    ada = chat.client()
    is_open(ada)
    for line in (
        "say - ", "say a/b text", "tell 1x text", "join a/b", "nick 1x",
        "nick guest-1234", "command /who", "say - a\x1b[2J",
    ):
        assert ada.refused(line) == "EINVAL", line
    if chat.spoken == "text":
        assert ada.refused("command echo [den] bob: hi") == "EINVAL"
        assert ada.refused("command echo ~1") == "EINVAL"
    assert ada.all("done") == []


def test_content_types(chat):
    chat.begin()
    bob = chat.visitor("bob")
    ada = chat.client("--nick", "ada")
    is_open(ada)
    ada.done("post text/markdown *hi*")
    assert bob.hear_messages(LOBBY, 1) == ["ada: *hi*"]
    if chat.spoken in ("text", "frame"):
        assert ada.refused("post image/png pixels") == "EOPNOTSUPP"
    else:
        ada.done("post image/png pixels")
        ada.again()
        ada.expect("message", type="image/png", text="pixels")


# --- confirmations


def test_many_are_confirmed_in_order(chat):
    """More than the window holds, and than fits the queue."""
    chat.begin()
    ada = chat.client("--nick", "ada", "--queue", "65536")
    is_open(ada)
    ada.tell(f"flood {MANY} lobby")
    last = f"flood {MANY - 1}"
    ada.expect("message", seconds=3 * WAIT, text=last)
    until(lambda: len(ada.all("done")) == MANY, "all are done")
    results = ada.all("done")
    assert all(r["error"] == "" for r in results)
    assert [r["seq"] for r in results] == [
        chat.seq(n) for n in range(1, MANY + 1)
    ]
    tickets = [r["ticket"] for r in results]
    assert tickets == sorted(set(tickets))
    assert [m["text"] for m in ada.all("message")] == [
        f"flood {n}" for n in range(MANY)
    ]
    assert ada.all("writable")


def test_errors_among_confirmations(chat):
    """Which of many is wrong is told exactly, whatever stands around it."""
    chat.begin()
    ada = chat.client("--nick", "ada", "--join", "den", "--join", "lobby")
    is_open(ada)
    lines = ["say den ok", "say lobby ok", "whisper den ok", "tell nobody no",
             "say nowhere no", "whisper nowhere no", "command dance no",
             "command echo ok", "say - ok"]
    ada.tell(*20 * lines, "say - the end")
    ada.expect("message", text="the end")
    until(lambda: len(ada.all("done")) == 20 * 7 + 1, "all are done")
    asked = [e["ticket"] for e in ada.all("asked") if e["ticket"]]
    outcome = {e["ticket"]: e["code"] for e in ada.all("done")}
    codes = ["", "", "no-such-nick", "no-such-room", "unknown-command", "", ""]
    assert [outcome[ticket] for ticket in asked] == 20 * codes + [""]
    assert len(ada.all("fault", code="no-such-room")) == 20


def test_window_of_one(chat):
    chat.begin()
    ada = chat.client("--window", "1")
    is_open(ada)
    ada.tell("flood 50 lobby")
    ada.expect("message", text="flood 49")
    until(lambda: len(ada.all("done", error="")) == 50, "all are done")


# --- heartbeats


def test_round_trip_time(chat):
    chat.begin()
    ada = chat.client("--heartbeat", "50")
    is_open(ada)
    until(lambda: ada.stand()["rtt_us"] > 0, "a heartbeat has come back")


def test_it_answers_heartbeats(chat):
    if chat.binary:
        chat.begin("--heartbeat", "0.2")
    else:
        chat.begin("--idle-timeout", "1")
    ada = chat.client("--heartbeat", "200")
    is_open(ada)
    time.sleep(2 * SLOW)
    ada.done("say - still here")
    assert ada.stand()["connections"] == 1


def test_server_that_does_not_answer(chat):
    chat.begin()
    ada = chat.client("--heartbeat", "50", *HASTY, "--connect-timeout", "300")
    is_open(ada)
    with chat.server.stopped():
        ada.becomes("waiting", error="ETIMEDOUT")
        ada.becomes("waiting", error="ETIMEDOUT")
    assert is_open(ada)["again"]


# --- losses


def test_comes_back(chat, launch, key_file):
    """To a server that is new: under its nick, in its rooms, and it says that
    it has missed what it may have missed."""
    chat.begin()
    ada = chat.client("--nick", "ada", "--join", "den", *HASTY)
    is_open(ada)
    ada.done("join attic")
    for room in ("den", "attic"):
        ada.tell(f"say {room} one")
        ada.expect("message", room=room, text="one")
    chat.kill()
    lost = ada.becomes("waiting")
    assert lost["error"] in ("ECONNRESET", "ECONNREFUSED")
    chat.begin_again(launch, key_file)
    assert is_open(ada)["again"]
    stand = ada.stand()
    assert (stand["nick"], stand["rooms"]) == ("ada", ["den", "attic"])
    for room in ("den", "attic"):
        ada.tell(f"say {room} two")
        ada.expect("message", room=room, text="two")
    missed = {e["room"]: e for e in ada.all("missed")}
    assert set(missed) == {"den", "attic"}
    assert all(e["count"] == UNKNOWN for e in missed.values())
    assert all(e["away_ms"] > 0 for e in missed.values())


@pytest.mark.spoken("frame", "secure", "sealed")
def test_missed_is_counted(chat):
    """By the numbers of a room: two while it was away, and none of a room in
    which nothing was said."""
    chat.begin("--heartbeat", "0")
    bob = chat.visitor("bob", "den", "quiet", "den")
    ada = chat.client(
        "--join", "den", "--join", "quiet", "--heartbeat", "100",
        "--connect-timeout", "200", "--backoff-first", "700",
        "--backoff-max", "700",
    )
    is_open(ada)
    for room in ("quiet", "den"):
        ada.tell(f"say {room} one")
        ada.expect("message", room=room, text="one")
    with chat.server.stopped():
        bob.say("two", "three")
        ada.becomes("waiting", error="ETIMEDOUT")
    assert is_open(ada)["again"]
    bob.say("four")
    missed = ada.expect("missed")
    assert (missed["room"], missed["count"]) == ("den", 2)
    assert missed["away_ms"] > 0
    ada.expect("message", text="four")
    ada.done("say quiet two")
    assert len(ada.all("missed")) == 1


@pytest.mark.parametrize("resend", [(), ("--resend",)], ids=["told", "resent"])
def test_what_is_lost(chat, launch, key_file, resend):
    """A server that is killed in the middle: either it is told of each that
    nobody knows, or each arrives at least once, and in order."""
    chat.begin()
    ada = chat.client("--nick", "ada", *HASTY, *resend)
    is_open(ada)
    ada.tell(f"flood {MANY} lobby")
    ada.expect("message", text="flood 100")
    chat.kill()
    chat.begin_again(launch, key_file)
    until(lambda: len(ada.all("done")) == MANY, "all are done", 3 * WAIT)
    results = ada.all("done")
    tickets = [r["ticket"] for r in results]
    assert len(set(tickets)) == MANY
    lost = [r for r in results if r["error"] == "ECONNRESET"]
    assert all(r["error"] in ("", "ECONNRESET") for r in results)
    until(
        lambda: ada.all("message", text=f"flood {MANY - 1}"), "the last is heard"
    )
    heard = [int(m["text"].split()[1]) for m in ada.all("message")]
    if resend:
        assert lost == [] and tickets == sorted(tickets)
        firsts = list(dict.fromkeys(heard))
        assert firsts == sorted(firsts)
        # Of what the first server has confirmed, its echo may be lost.
        done = {n for n, r in enumerate(results) if not r["error"]}
        assert done == set(range(MANY))
    else:
        assert len(lost) <= 256
        assert heard == sorted(set(heard))


def test_what_nobody_knows(chat):
    """What has been sent, and was not answered when the server was gone."""
    chat.begin()
    ada = chat.client("--nick", "ada", *HASTY)
    is_open(ada)
    chat.server.signal(signal.SIGSTOP)
    ticket = ada.ask("say lobby hello")
    until(lambda: ada.stand()["unconfirmed"] > 0, "it has been sent")
    chat.kill()
    assert ada.expect("done", ticket=ticket)["error"] == "ECONNRESET"


def test_nick_that_somebody_has(chat):
    """A guest's until it is free."""
    chat.begin()
    bob = chat.visitor("ada")
    ada = chat.client("--nick", "ada", "--heartbeat", "50")
    ada.expect("fault", code="nick-in-use")
    is_open(ada)
    assert re.fullmatch("guest-[0-9a-f]+", ada.stand()["nick"])
    bob.close()
    ada.expect("nick", text="ada")
    assert ada.stand()["nick"] == "ada"


def is_refused(url):
    try:
        connect_socket(url).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass
    return False


def test_no_server(chat):
    """It tries as often as it may, and says why it stops."""
    chat.begin()
    chat.kill()
    until(lambda: is_refused(chat.url), "what was the server's is gone")
    ada = chat.client(*HASTY, "--attempts", "3")
    for attempt in (1, 2):
        change = ada.becomes("waiting", error="ECONNREFUSED")
        assert change["attempt"] == attempt and change["retry_ms"] <= 200
    ada.tell("say - hi")
    ada.becomes("closed", error="ECONNREFUSED")
    ada.again()
    ada.expect("done", error="ECANCELED")


def test_server_that_stops(chat):
    chat.begin()
    ada = chat.client("--attempts", "1")
    is_open(ada)
    chat.server.signal(signal.SIGTERM)
    closed = ada.becomes("closed")
    assert chat.server.wait_exit() == 0
    assert (closed["code"], closed["error"]) == ("shutdown", "")


def test_server_full(chat, launch):
    chat.begin("--max-connections", "1")
    bob = chat.visitor("bob")
    ada = chat.client(*HASTY)
    assert ada.becomes("waiting")["code"] == "server-full"
    bob.close()
    is_open(ada)


# --- limits


def test_rate(chat):
    """A server that reads no more than so much: nothing is lost, and nobody
    is taken for dead."""
    chat.begin("--rate", "100")
    ada = chat.client("--heartbeat", "100")
    is_open(ada)
    ada.tell("flood 150 lobby")
    until(lambda: len(ada.all("done", error="")) == 150, "all are done", 4 * WAIT)
    assert ada.stand()["connections"] == 1


@pytest.mark.stages(2, 3, 4, 5)
def test_too_slow(chat):
    """One that does not read is closed, is told why, and comes back."""
    chat.begin("--slow-consumer", "disconnect", "--room-window", "20000")
    bob = chat.visitor("bob", "den")
    ada = chat.client("--join", "den", *HASTY)
    is_open(ada)
    ada.process.send_signal(signal.SIGSTOP)
    for _ in range(40):
        bob.say(*100 * ["x" * 1000])
        bob.hear_messages("den", 100)
    ada.process.send_signal(signal.SIGCONT)
    lost = ada.becomes("waiting")
    assert lost["code"] == "lagged" or lost["error"] == "ECONNRESET"
    assert is_open(ada)["again"]


@pytest.mark.stages(2, 3, 4, 5)
def test_lagged(chat):
    """One that reads too slowly is told how much it has missed."""
    chat.begin("--room-window", "20000")
    bob = chat.visitor("bob", "den")
    ada = chat.client("--join", "den", "--heartbeat", "60000")
    is_open(ada)
    bob.say("first")
    ada.expect("message", text="first")
    ada.process.send_signal(signal.SIGSTOP)
    for _ in range(40):
        bob.say(*100 * ["x" * 1000])
        bob.hear_messages("den", 100)
    ada.process.send_signal(signal.SIGCONT)
    bob.say("last")
    ada.expect("message", text="last")
    heard = len(ada.all("message", room="den"))
    missed = ada.all("missed", room="den")
    assert all(e["away_ms"] == 0 for e in missed)
    assert missed and heard + sum(e["count"] for e in missed) == 4002


# --- threads


@pytest.mark.spoken("text", "frame", "sealed")
def test_threads(chat, pytestconfig, key_file):
    """Two clients in two threads, interrupted from a third."""
    chat.begin()
    program = built(pytestconfig, "lib/threads")
    key = [key_file] if chat.spoken == "sealed" else []
    run = subprocess.run(
        [program, chat.url, *key], capture_output=True, timeout=3 * WAIT
    )
    assert (run.returncode, run.stderr) == (0, b"")
