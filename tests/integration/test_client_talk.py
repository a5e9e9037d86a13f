"""ringchat in a terminal: what people see, and what keys do."""

import os
import re
import signal
import time

import pytest

import proc
from capabilities import DIALECTS
from server import Server
from talking import talk  # noqa: F401
from timing import SLOW, WAIT, until

NEWEST = max(DIALECTS)
newest = pytest.mark.stages(NEWEST)
spoken = pytest.mark.parametrize("dialect", DIALECTS[NEWEST])

ENTER, TAB, ESCAPE = "\r", "\t", "\x1b"
UP, DOWN, LEFT, RIGHT = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"
PAGE_UP, PAGE_DOWN, ALT_END = "\x1b[5~", "\x1b[6~", "\x1b[1;3F"
CLOCK = r"\d\d:\d\d"


@pytest.fixture
def chat(start_all, talk, to):  # noqa: F811
    """Starts a server, then terminals at it."""
    server = start_all()

    def enter(nick=None, *options, dialect="text", **how):
        return talk(*options, *to(server, dialect), nick=nick, **how).enter()

    enter.server = server
    return enter


# --- talking


def test_two_terminals_chat(chat, stage):
    for dialect in DIALECTS[stage]:
        alice = chat("alice", dialect=dialect)
        bob = chat("bob", dialect=dialect)
        alice.shows(r"· bob joined$")
        bob.say("hello, 漢字 and e\u0301")
        alice.shows(rf"^{CLOCK} bob: hello, 漢字 and é$")
        alice.say("hello, bob")
        for talker in (alice, bob):
            talker.shows(rf"^{CLOCK} alice: hello, bob$")
        bob.type("\x04")
        assert bob.wait() == 0
        alice.shows(r"· bob left$|· bob joined, bob left$")
        alice.type("\x04")
        assert alice.wait() == 0


@newest
@spoken
def test_typing_while_messages_arrive(chat, dialect):
    alice = chat("alice", dialect=dialect)
    flooder = chat.server.person("flood")
    line = "lobby> what I type stays whole, 漢字 too"
    for end in range(len("lobby> "), len(line)):
        flooder.send(b"".join(b"message %d of %d\n" % (i, end)
                              for i in range(100)))
        alice.type(line[end])
        typed = time.monotonic()

        def is_whole():
            assert f"{line} ".startswith(alice.input()), alice.input()
            return alice.input() == line[:end + 1].rstrip()

        alice.until(is_whole, f"no {line[:end + 1]}")
        assert time.monotonic() - typed < 0.5 * SLOW
    alice.type(ENTER)
    alice.shows(r"alice: what I type stays whole")


@newest
def test_a_private_conversation(chat):
    alice, bob = chat("alice"), chat("bob")
    alice.say("/msg bob psst")
    alice.shows(r"^@bob>$")
    alice.shows(rf"^{CLOCK} alice: psst$")
    bob.shows(r"2 @alice!1")
    bob.hides(r"psst")
    bob.type("\x1ba")  # Alt-A: the next one unread
    bob.shows(rf"^{CLOCK} alice: psst$")
    bob.say("what?")
    alice.shows(rf"^{CLOCK} bob: what\?$")
    alice.say("/close")
    alice.shows(r"^lobby>$")
    assert "@bob" not in alice.bar()
    alice.say("/msg nobody hello")
    alice.shows(r"! no-such-nick")
    alice.shows(r"alice: hello — not sent$")


@newest
@spoken
def test_several_rooms_and_what_is_unread(chat, dialect):
    alice = chat("alice", dialect=dialect)
    bob = chat.server.person("bob", "tea", "den")
    alice.say("/join tea")
    alice.enter("tea")
    alice.say("/join den")
    alice.enter("den")
    bob.join("tea")
    bob.send(b"one\ntwo\n")
    alice.shows(r"2 tea·2 \[3 den\]")
    bob.send(b"Alice: three\n")
    alice.shows(r"2 tea!3 \[3 den\]")
    alice.type("\x1b2")  # Alt-2
    alice.shows(r"\[2 tea\] 3 den")
    alice.shows(rf"^{CLOCK} bob: one$")
    alice.type("\x10")  # Ctrl-P
    alice.enter("lobby")
    alice.type("\x0e\x0e")  # Ctrl-N
    alice.enter("den")
    alice.say("/window tea")
    alice.enter("tea")
    alice.say("/window 3")
    alice.enter("den")
    alice.say("/leave")
    alice.hides(r"den")


@newest
@spoken
def test_topics_and_who_is_there(chat, dialect):
    chat.server.person("bob").send(b"/topic tea at four\n")
    alice = chat("alice", dialect=dialect)
    alice.shows(r"^ lobby — tea at four$")
    alice.say("/topic cake  at five")
    alice.shows(r"^ lobby — cake  at five$")
    alice.shows(r"· alice set the topic: cake  at five$")
    alice.say("/who")
    alice.shows(r"\* 2 in lobby: alice, bob$")
    alice.say("/nick carol")
    alice.shows(r"· alice is now carol$")
    alice.shows(rf"^ {CLOCK} carol  \[1 lobby\]")
    alice.say("/nonsense")
    alice.shows(r"! unknown-command")
    alice.say("/time")
    alice.shows(r"\* time 20")
    alice.say("//slash")
    alice.shows(rf"^{CLOCK} carol: /slash$")


# --- the input line


@newest
def test_completion(chat):
    for nick in ("bobby", "bob", "carol"):
        chat.server.person(nick)
    alice = chat("alice", rows=12)
    alice.say("/who")  # they are known
    alice.shows(r"4 in lobby")
    alice.type("ca" + TAB)
    alice.shows(r"^lobby> carol:$")
    alice.type("\x15hello ca" + TAB)
    alice.shows(r"^lobby> hello carol$")
    alice.type("\x15b" + TAB)
    alice.shows(r"^lobby> bob$")
    alice.shows(r"^ bob bobby ")
    alice.type(TAB)
    alice.shows(r"^lobby> bob:$")
    alice.type(TAB)
    alice.shows(r"^lobby> bobby:$")
    alice.type("\x1b[Z")  # Shift-Tab
    alice.shows(r"^lobby> bob:$")
    alice.type("x")
    alice.shows(r"^lobby> bob: x$")
    assert "bobby" not in alice.bar()
    alice.type("\x15/jo" + TAB + "te" + ENTER)
    alice.enter("te")
    alice.type("/window lo" + TAB + ENTER)
    alice.enter("lobby")
    chat.server.person("dave", "lobby").send(b"here I am\n")
    alice.shows("here I am")
    alice.type(TAB)  # who spoke last comes first
    alice.type(TAB)
    alice.shows(r"^lobby> dave:$")


@newest
def test_history(chat):
    alice = chat("alice")
    for line in ("one", "two", "/time", "three"):
        alice.say(line)
    alice.shows(r"alice: three$")
    alice.type("draft" + "\x01" + UP)  # at the beginning: all lines
    alice.shows(r"^lobby> three$")
    alice.type(UP + UP)
    alice.shows(r"^lobby> two$")
    alice.type(DOWN + DOWN + DOWN)
    alice.shows(r"^lobby> draft$")
    alice.type("\x15t" + UP)
    alice.shows(r"^lobby> three$")
    alice.type(UP)
    alice.shows(r"^lobby> two$")
    alice.type("!" + ENTER)
    alice.shows(r"alice: two!$")


@newest
def test_editing(chat):
    alice = chat("alice", columns=40)
    alice.type("漢字 x" + LEFT + LEFT + "\x7f" + "a")
    alice.shows(r"^lobby> 漢a x$")
    assert alice.cursor() == (10, 23)
    alice.type("\x05 word\x17\x19\x19")  # end, kill a word, yank it twice
    alice.shows(r"^lobby> 漢a x wordword$")
    alice.type("\x15")
    alice.shows(r"^lobby>$")
    alice.type("x" * 60)
    alice.shows(r"^lobby> <x+$")
    alice.type("\x01")
    alice.shows(r"^lobby> x+>$")
    assert alice.cursor() == (7, 23)
    alice.type("\x0b" + "\x1b[200~pasted\x1b[201~")
    alice.shows(r"^lobby> pasted$")


@newest
@spoken
def test_what_is_pasted_is_not_sent_at_once(chat, dialect):
    alice = chat("alice", dialect=dialect)
    alice.type("\x1b[200~one\rtwo\r\r/three\r\x1b[201~")
    alice.shows(r"send 3 lines\? Enter, or Escape")
    alice.hides(r"alice: one")
    alice.type(ESCAPE)
    alice.hides(r"send 3 lines")
    alice.type("\x1b[200~" + "".join(f"line {i}\r" for i in range(200))
               + "\x1b[201~")
    alice.shows(r"send 200 lines\? Enter, or Escape")
    alice.type(ENTER)
    alice.shows(r"alice: line 199$")
    said = [l for l in alice.lines() if re.search(r"alice: line", l)]
    assert [int(l.split()[-1]) for l in said] == \
        list(range(200 - len(said), 200))


@newest
def test_what_is_pasted_goes_where_it_was_asked_about(chat):
    """Whatever is shown when the server takes the rest of it."""
    alice = chat("alice")
    alice.say("/join tea")
    alice.enter("tea")
    bob = chat.server.person("bob", "tea")
    alice.type("\x1b[200~" + "".join(f"line {i}\r" for i in range(100))
               + "\x1b[201~")
    alice.shows(r"send 100 lines\?")
    with chat.server.stopped():
        alice.type(ENTER + "\x1b1")
        alice.enter("lobby")
    assert bob.hear_messages("tea", 100) == \
        [f"alice: line {i}" for i in range(100)]
    assert not any("line" in line for line in alice.lines())


@newest
def test_one_paste_at_a_time(chat):
    """The first one is sent whole, whatever is pasted meanwhile."""
    alice, bob = chat("alice"), chat.server.person("bob")
    alice.type("\x1b[200~" + "".join(f"line {i}\r" for i in range(100))
               + "\x1b[201~")
    alice.shows(r"send 100 lines\?")
    with chat.server.stopped():
        alice.type(ENTER + "\x1b[200~another\rone\r\x1b[201~")
        alice.shows("not taken: what was pasted before is being sent")
    assert bob.hear_messages("lobby", 100) == \
        [f"alice: line {i}" for i in range(100)]


@newest
def test_a_line_that_is_too_long_to_paste(chat):
    """It is no longer than what can be typed, whatever the server takes."""
    alice = chat("alice", dialect="secure")
    alice.type("\x1b[200~one\r" + "x" * 4097 + "\x1b[201~")
    alice.shows("a line of that is too long")
    alice.type("\x1b[200~one\r" + "x" * 4096 + "\x1b[201~")
    alice.shows(r"send 2 lines\?")


@newest
def test_scrolling_back(chat):
    alice = chat("alice", rows=10)
    bob = chat.server.person("bob")
    bob.send(b"".join(b"message %d\n" % i for i in range(50)))
    alice.shows(r"message 49$")
    alice.type(PAGE_UP)
    alice.shows(r"↓ 6 more")
    seen = alice.lines()[1:-2]
    bob.send(b"one more\n")
    alice.shows(r"↓ 7 more")
    assert alice.lines()[1:-2] == seen
    alice.type(PAGE_UP * 20)
    alice.shows(r"message 0$")
    alice.type(PAGE_DOWN)
    alice.hides(r"message 0$")
    alice.type(ALT_END)
    alice.shows(r"one more$")
    assert "more" not in alice.bar()


# --- the screen


@newest
def test_resizing(chat):
    alice = chat("alice", columns=80, rows=24)
    alice.say("漢字漢字 and words that need more than one row, " * 3)
    alice.shows(r"alice: 漢字漢字 and words")
    alice.type("字漢a")
    for columns, rows in ((20, 5), (1, 1), (2, 2), (200, 50), (9, 3), (80, 24)):
        prompt = len("lobby> ") if columns >= 20 else 0
        alice.resize(columns, rows)
        wanted = min(prompt + 5, columns - 1)
        if columns == 2:  # `<`, and what the cursor is on
            wanted = 1
        if columns > 5:
            alice.until(lambda: "字漢a" in alice.input()
                        and alice.cursor() == (wanted, rows - 1),
                        f"{columns} by {rows}")
        else:
            alice.until(lambda: alice.cursor() == (wanted, rows - 1),
                        f"{columns} by {rows}: {alice.cursor()}")
        if rows >= 3 and columns >= 9:
            alice.shows(r"lobby")
    alice.shows(rf"^{CLOCK} alice: 漢字漢字 and words that need")
    alice.shows(r"^ {13}\S")


@newest
def test_it_is_suspended_and_comes_back(chat):
    alice = chat("alice")
    alice.type("typed before")
    alice.shows("typed before")
    alice.type("\x1a")
    until(lambda: proc.is_stopped(alice.process.pid), "it is stopped")
    alice.pump()
    assert alice.is_restored()
    alice.screen.reset()
    alice.screen.resize(20, 50)
    alice.set_size(50, 20)
    alice.signal(signal.SIGCONT)
    alice.until(lambda: alice.input() == "lobby> typed before", "it is back")
    alice.type("!")
    alice.shows("typed before!")


@newest
@pytest.mark.parametrize("leave, status", [
    ("\x04", 0), ("exit\r", 0), ("/quit\r", 0), ("\x03", 130),
    (signal.SIGTERM, 143), (signal.SIGINT, 130),
])
def test_leaving(chat, leave, status):
    alice, bob = chat("alice"), chat("bob")
    alice.shows("bob joined")
    if isinstance(leave, str):
        bob.type(leave)
    else:
        bob.signal(leave)
    assert bob.wait(3 * SLOW) == status
    assert bob.is_restored()
    alice.shows(r"bob left$")


@newest
def test_what_was_refused_has_been_seen(chat):
    """So it is no matter of the exit status any more."""
    alice = chat("alice")
    alice.say("/msg nobody hello")
    alice.shows("not sent")
    alice.type("/quit\r")
    assert alice.wait(3 * SLOW) == 0


@newest
def test_its_window_is_closed(chat):
    alice, bob = chat("alice"), chat("bob")
    alice.shows("bob joined")
    bob.hang_up()
    until(lambda: bob.process.poll() is not None, "it ends")
    assert bob.process.returncode == 129
    alice.shows(r"bob left$")


@newest
def test_colours(chat):
    alice = chat("alice", "--theme", "dark")
    bob = chat.server.person("bob")
    bob.send(b"alice, hello\n")
    alice.shows("alice, hello")
    assert re.search(rb"\x1b\[[0-9;]*38;5;", alice.raw)
    colour = {alice.screen.buffer[y][x].fg
              for y, line in enumerate(alice.lines())
              for x in [line.find("alice, hello")] if x >= 0}
    assert colour == {"ffd75f"}

    plain = chat("carol", environment={"NO_COLOR": "1"})
    bob.send(b"carol, hello\n")
    plain.shows("carol, hello")
    assert not re.search(rb"\x1b\[([0-9;]*;)?[349][0-9][;m]", plain.raw)
    y = next(y for y, line in enumerate(plain.lines())
             if "carol, hello" in line)
    x = plain.lines()[y].index("carol, hello")
    assert plain.screen.buffer[y][x].bold


@newest
@pytest.mark.parametrize("environment", [
    {"LC_ALL": None, "LANG": None, "LC_CTYPE": None},
    {"LC_ALL": "C"},
    {"TERM": "vt100"},
    {"TERM": "screen"},
    {"TERM": "tmux-256color"},
    {"TERM": "linux"},
], ids=str)
def test_whatever_the_environment(chat, environment):
    alice = chat("alice", environment=environment)
    alice.say("漢字 e\u0301 works")
    alice.shows("alice: 漢字 é works")
    alice.type(LEFT + "\x04")
    assert alice.wait() == 0


@newest
@pytest.mark.parametrize("term", ["dumb", "no-such-terminal", None])
def test_a_terminal_that_cannot_be_drawn_on(chat, talk, term):  # noqa: F811
    alice = talk(chat.server.urls[0], environment={"TERM": term})
    assert alice.wait() == 69
    assert b"TERM" in alice.raw


# --- the connection


@newest
def test_there_is_no_server(talk, folder):  # noqa: F811
    alice = talk(f"text+unix://{folder}/nobody")
    assert alice.wait() == 69
    assert b"No such file" in alice.raw
    assert b"\x1b[?1049l" in alice.raw


@pytest.fixture
def mortal(program, folder, key_file):
    """Starts servers at always the same Unix sockets, which may be killed."""
    started = []

    def begin():
        if started:
            started[-1].process.wait()
        for socket in folder.glob("*.socket"):
            socket.unlink()
        server = Server([program, "--key-file", key_file, *(
            word for dialect in DIALECTS[NEWEST]
            for word in ("--listen",
                         f"{dialect}+unix://{folder}/{dialect}.socket"))])
        started.append(server)
        server.wait_event("ready")
        return server

    yield begin
    for server in started:
        server.process.kill()
        server.wait_exit()


@newest
@spoken
def test_the_server_is_killed_and_comes_back(mortal, talk, to, dialect):  # noqa: F811
    server = mortal()
    alice = talk(*to(server, dialect), nick="alice").enter()
    alice.say("/join tea")
    alice.enter("tea")
    alice.say("heard")
    alice.shows("alice: heard$")
    with server.stopped():
        alice.say("not heard")
        alice.shows(r"1 sent")
        server.signal(signal.SIGKILL)
    alice.shows(r"── connection lost: .* ──$")
    alice.shows(r"alice: not heard — not confirmed")
    alice.shows(r"away: again in|connecting")
    alice.say("meanwhile")
    alice.shows(r"not connected")
    assert alice.input() == "tea> meanwhile"
    server = mortal()
    alice.shows(r"── back after \d+ s.* ──$")
    alice.type(ENTER)
    alice.shows("alice: meanwhile$")
    bob = server.connect()
    bob.become("bob")
    bob.join("tea")
    bob.send(b"hello again\n")
    alice.shows("bob: hello again$")
    assert "1 lobby [2 tea]" in alice.bar()
    assert "away" not in alice.bar()


@newest
@pytest.mark.parametrize("dialect", ("frame", "secure"))
def test_what_was_missed_is_counted(start_all, talk, to, dialect):  # noqa: F811
    """Its connection is lost while it is suspended."""
    server = start_all("--heartbeat", "0.1")
    bob = server.person("bob")
    alice = talk(*to(server, dialect), nick="alice").enter()
    bob.send(b"before\n")
    alice.shows("bob: before$")
    alice.type("\x1a")
    server.wait_event("disconnected", nick="alice")
    bob.send(b"one\ntwo\nthree\nfour\n")
    assert bob.hear_messages("lobby", 5)[-1] == "bob: four"
    alice.signal(signal.SIGCONT)
    alice.shows(r"── connection lost")
    alice.shows(r"── back after \d s")
    bob.send(b"after\n")
    alice.shows(r"bob: after$")
    alice.shows(r"── back after \d s; 4 messages were missed ──$")
    assert "bob: one" not in "\n".join(alice.lines())


@newest
def test_a_server_that_does_not_answer(mortal, talk, to):  # noqa: F811
    server = mortal()
    alice = talk(*to(server, "text"), nick="alice").enter()
    with server.stopped():
        alice.say("hello?")
        alice.shows(r"1 sent")
        alice.type("typed all the same")
        alice.shows("^lobby> typed all the same$")
        alice.type("\x03")
        assert alice.wait(WAIT) == 130
    assert alice.is_restored()


@newest
def test_the_round_trip_time_is_shown(chat):
    alice = chat("alice", dialect="secure")
    alice.shows(r" \d+(\.\d)? ms$", 15 * SLOW)
