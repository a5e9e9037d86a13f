#!/usr/bin/python3
"""A session of three people, as one of them sees it, drawn as an SVG.

    screenshot.py [--build build/release-gcc] docs/figures/client.svg

The people are real, and so is the server; each step waits until it is seen. The
bytes are the same each time: clocks, the port and the round-trip time, which
are not, are drawn as if they were.
"""

import argparse
import random
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from picture import draw
from terminal import Terminal

COLUMNS, ROWS = 78, 13
STILL = [
    (r"\b\d\d:\d\d\b", "13:35"),
    (r"127\.0\.0\.1:\d{4}\b", "127.0.0.1:4000"),
    (r"\b\d\.\d ms", "0.2 ms"),
]


def free_port():
    """Of as many digits as the usual one."""
    while True:
        port = random.randrange(4002, 9000)
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Session:
    def __init__(self, build, ends):
        self.program = build / "ringchat"
        self.ends = ends
        self.url = f"text://127.0.0.1:{free_port()}"
        server = subprocess.Popen(
            [build / "stage5-threads", "--listen", self.url],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        ends.callback(server.stderr.close)
        ends.callback(server.wait)
        ends.callback(server.terminate)
        for line in server.stderr:
            if b"event=ready" in line:
                return
        sys.exit("the server does not start")

    def enter(self, nick):
        person = Terminal(
            [self.program, "--theme", "dark", "--nick", nick, self.url],
            COLUMNS, ROWS)
        self.ends.callback(person.close)
        person.shows(r"\[1 lobby\]")
        return person


def say(person, line, seen, others):
    """Says it, and waits until all see it."""
    person.type(line + "\r")
    for each in (person, *others):
        each.shows(seen)


def play(session):
    alice = session.enter("alice")
    bob = session.enter("bob")
    alice.shows("bob joined")
    say(bob, "good morning, is anybody here?", "anybody here", [alice])
    say(alice, "I am. There will be tea at four, and cake if somebody is so "
        "kind as to bring some", "bring some", [bob])
    carol = session.enter("carol")
    alice.shows("carol joined")
    say(carol, "hello, alice! hello, bob!", "hello, bob", [alice])
    say(bob, "/topic tea at four, 茶は四時に", "^ lobby — tea", [alice])
    say(alice, "/join kitchen", r"\[2 kitchen\]", [])
    alice.type("\x1b1")
    alice.shows(r"\[1 lobby\]")
    say(bob, "/join kitchen", r"\[2 kitchen\]", [])
    say(bob, "the kettle is on", "kettle", [])
    say(bob, "where are the cups?", "cups", [])
    alice.shows(r"2 kitchen·2")
    say(carol, "/msg alice shall I bring cake?", "cake", [])
    alice.shows(r"3 @carol!1")
    bob.type("\x1b1")
    say(bob, "alice, have you seen the cups?", "seen the cups", [alice])
    alice.type("/who\r")
    alice.shows(r"3 in lobby: alice, bob, carol|3 in lobby: .*")
    carol.type("\x04")
    alice.shows("carol left")
    alice.type("bo\tthey are in the ki")
    alice.shows("^lobby> bob: they are in the ki$")
    alice.shows(r" \d\.\d ms$")
    return alice.screen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, default="build/release-gcc")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    with ExitStack() as ends:
        picture = draw(play(Session(options.build.resolve(), ends)),
                       still=STILL)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
