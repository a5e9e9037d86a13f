"""ringchat in terminals, for the tests of what people see."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from server import SANITIZER
from timing import SLOW, WAIT

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tests/client"))

from terminal import Terminal  # noqa: E402

# What the sanitizers end a program with, see the Makefile.
FINDING = 99


class Talker(Terminal):
    """Who talks: has a nick, and says and hears."""

    def __init__(self, program, arguments, nick=None, **how):
        named = ["--nick", nick] if nick else []
        super().__init__([program, *named, *arguments], seconds=WAIT, **how)

    def enter(self, room="lobby"):
        self.shows(rf"\[\d+ {room}\]")
        return self

    def say(self, text):
        self.type(text + "\r")

    def wait(self, seconds=None):
        status = super().wait(seconds)
        assert status != FINDING and not SANITIZER.search(self.raw), \
            self.raw.decode(errors="replace")
        return status

    def dismiss(self):
        """Ends it if the test has not; with a sanitizer, hears what it says of
        leaks."""
        try:
            if self.fd >= 0 and self.process.poll() is None:
                self.signal(signal.SIGCONT)
                self.signal(signal.SIGTERM)
                self.wait(3 * WAIT)
        finally:
            self.close()


@pytest.fixture
def talk(ringchat_program):
    """Starts ringchat in a terminal; ends it after the test."""
    with ExitStack() as talkers:

        def start(*arguments, **how):
            talker = Talker(ringchat_program, arguments, **how)
            talkers.callback(talker.dismiss)
            return talker

        yield start
