"""Wide characters, marks, joiners, directions: what a terminal makes of them is
where ringchat thinks that it is. Asked of two terminals that know nothing of
each other: pyte, and tmux."""

import os
import subprocess

import pytest

from capabilities import DIALECTS
from talking import talk  # noqa: F401
from timing import WAIT, until

pytestmark = pytest.mark.stages(max(DIALECTS))

WOMAN, ROCKET, ZWJ = "\U0001f469", "\U0001f680", "\u200d"
HAN = "\u1112\u1161\u11ab"  # a Korean syllable in three letters

# Texts, and their columns; what several characters make up is drawn as its
# parts, side by side.
TEXTS = [
    ("plain", 5),
    ("\u6f22\u5b57", 4),
    ("e\u0301", 1),
    (WOMAN + ZWJ + ROCKET, 4),
    (ZWJ.join(["\U0001f468", WOMAN, "\U0001f467", "\U0001f466"]), 8),
    ("\U0001f1e9\U0001f1ea", 2),
    ("\U0001f44b\U0001f3ff", 2),
    ("\u2764\ufe0f", 1),
    (HAN, 2),
    ("\u0301", 1),
    ("\u0915\u094d\u0937\u093f", 3),
    ("\u05e9\u05dc\u05d5\u05dd", 4),
    ("a\u202eb\u202c", 2),
    ("\U0001fae8", 1),  # of Unicode 15
    ("\uff21\uff9e", 3),
    ("x\u00ady", 2),
]
# python3-wcwidth, by which pyte goes, gives each of the three two columns.
KNOWN_TO_PYTE = [(text, columns) for text, columns in TEXTS if text != HAN]
BEFORE = len("13:35 bob: ")


@pytest.fixture
def server(start_all):
    return start_all()


def say_all(server, texts):
    bob = server.person("bob")
    for text, _ in texts:
        bob.send(f"{text}|\n".encode())


def test_columns_in_pyte(server, talk):  # noqa: F811
    alice = talk(server.urls[0], nick="alice").enter()
    say_all(server, KNOWN_TO_PYTE)
    alice.shows(r"bob: x.?y\|$")
    row = alice.screen.lines - 3
    for text, columns in reversed(KNOWN_TO_PYTE):
        cells = alice.screen.buffer[row]
        assert cells[BEFORE + columns].data == "|", (text, row)
        row -= 1


def test_the_cursor_in_pyte(server, talk):  # noqa: F811
    alice = talk(server.urls[0], nick="alice").enter()
    for text, columns in KNOWN_TO_PYTE:
        alice.type(text + "|")
        end = len("lobby> ") + columns + 1
        alice.until(lambda: alice.cursor()[0] == end,
                    f"{text!r}: {alice.cursor()[0]} is not {end}")
        cells = alice.screen.buffer[alice.screen.lines - 1]
        assert cells[end - 1].data == "|", text
        alice.type("\x15")
        alice.until(lambda: alice.cursor()[0] == len("lobby> "), "it is empty")


def test_what_a_terminal_takes_for_wider_is_drawn_anew(server, talk):  # noqa: F811
    """The columns are wrong there, but not what can be read."""
    alice = talk(server.urls[0], nick="alice").enter()
    alice.type(HAN * 3 + "abc")
    alice.shows(f"^lobby> {HAN * 3}abc$")
    server.person("bob").send(b"the cursor goes elsewhere, and comes back\n")
    alice.shows("comes back$")
    alice.type("d")
    alice.shows(f"^lobby> {HAN * 3}abcd$")


class Tmux:
    """A tmux of our own, with one window of 60 by 30."""

    def __init__(self, folder, *command):
        self.base = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self("new-session", "-d", "-x", "60", "-y", "30",
             *[str(word) for word in command])

    def __call__(self, *arguments):
        done = subprocess.run(
            [*self.base, *arguments], capture_output=True, text=True,
            timeout=WAIT, env={**os.environ, "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screen(self):
        return self("capture-pane", "-p")

    def value(self, name):
        return int(self("display-message", "-p", f"#{{{name}}}"))


@pytest.fixture
def tmux(folder, ringchat_program, server):
    made = Tmux(folder, ringchat_program, "--nick", "alice", server.urls[0])
    try:
        until(lambda: "[1 lobby]" in made.screen(), "it is in the lobby")
        yield made
        made("send-keys", "C-d")
    finally:
        subprocess.run([*made.base, "kill-server"], capture_output=True)


def test_columns_in_tmux(server, tmux):
    say_all(server, TEXTS)
    until(lambda: "y|" in tmux.screen(), "all is shown")
    tmux("copy-mode")
    for text, columns in reversed(TEXTS):
        tmux("send-keys", "-X", "search-backward", "|")
        assert tmux.value("copy_cursor_x") == BEFORE + columns, repr(text)


def test_the_cursor_in_tmux(tmux):
    for text, columns in TEXTS:
        tmux("send-keys", "-l", text + "|")
        end = len("lobby> ") + columns + 1
        until(lambda: tmux.value("cursor_x") == end,
              f"{text!r}: {tmux.value('cursor_x')} is not {end}")
        tmux("send-keys", "C-u")
