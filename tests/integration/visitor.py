"""One of many who come, talk and go in the middle of something. Whatever
reaches one of them is held against who it is: it must be meant for it, whole,
once, and in its place."""

import re
import select
import socket
from collections import deque

from client import TextClient
from crowd import request
from server import CLIENTS
from stalling import HELPS, STALLED

COMMON_ROOMS = 8
# So many lines, some of them long, are more than is read at once.
MUCH = 40

JOINED = re.compile(r"joined (\S+) \(\d+ members\)")
PRIVATE = re.compile(r"\(private\) (v\d+): (.*)")
WORDS = re.compile(r"(v\d+): \1 in (\S+), (\d+): .*")


def words(nick, room, number):
    """What somebody says: of each few bytes one sees whose they are."""
    often = 200 if number % 10 == 9 else 3
    return f"{nick} in {room}, {number}: " + f"{nick}/{room} " * often


def half_words(nick, room, number):
    """Where somebody breaks off: in this dialect the end of the stream makes
    a line of it, a reset does not."""
    return f"{nick} in {room}, {number}: and"


def private_words(sender, receiver):
    return f"to {receiver} from {sender}"


class Visitor:
    def __init__(self, number, kind, url, room, help_lines, stalls=False):
        self.nick = f"v{number}"
        self.room = room or f"own-{number}"
        self.client = CLIENTS[kind](url, **(STALLED if stalls else {}))
        self.stalls = stalls
        self._help = help_lines
        self._said = 0
        self._answers = deque()  # that are due to it
        self._heard = {}  # the last number of each who speaks in its room

    def arrive(self):
        """Is welcomed, as somebody who has just come."""
        self.client.expect_welcome()
        told = 1 if isinstance(self.client, TextClient) else 2
        assert len(self.client.transcript) == told, self.client.transcript
        self.client.forget()
        self._ask(f"nick {self.nick}", f"you are now {self.nick}")
        self._ask(f"join {self.room}", JOINED)

    # --- what it does meanwhile

    def speak(self, count):
        numbers = range(self._said, self._said + count)
        self._said += count
        mark = f"{self.nick} has said {self._said}"
        said = [words(self.nick, self.room, number) for number in numbers]
        request(self.client, f"echo {mark}", *said)
        self._answers.append(mark)

    def write_to(self, nick):
        """Privately, to one who may have gone."""
        outcome = re.compile(f"sent to {nick}|! no-such-nick.*")
        self._ask(f"msg {nick} {private_words(self.nick, nick)}", outcome)

    def ask_for_much(self):
        self.client.say(*HELPS * ["/help"])
        self._answers += HELPS * self._help

    def take_in(self):
        """What there is, without waiting for more."""
        waiting = [self.client.socket]
        while not self.client.ended and select.select(waiting, [], [], 0)[0]:
            self.client.sip(65536)
        self.check()

    # --- how it goes

    def close(self):
        self.client.close()

    def reset(self):
        """Breaks the connection off without waiting for the server. A Unix
        socket resets by what it has not read."""
        if self.client.socket.family == socket.AF_UNIX:
            self.client.close()
        else:
            self.client.reset()

    def break_off_within_a_line(self):
        if isinstance(self.client, TextClient):
            half = half_words(self.nick, self.room, self._said)
            self.client.send(half.encode())
        else:
            self.client.send(self.client.make_message("half")[:-1])
        self.reset()

    def break_off_in_full_flow(self):
        self.speak(MUCH)
        self.reset()

    def close_in_full_flow(self):
        self.speak(MUCH)
        self.close()

    def quit(self):
        """All that it has asked for and said comes before the end."""
        if isinstance(self.client, TextClient):
            self._ask("quit", "bye")
        self.end()

    def end(self):
        self.client.half_close()
        self.client.read_to_end()
        self.check()
        assert not self._answers, self._answers
        assert self._heard.get(self.nick, -1) == self._said - 1
        self.client.close()

    WAYS_TO_GO = (
        close, reset, break_off_within_a_line, break_off_in_full_flow,
        close_in_full_flow, quit, end,
    )

    # --- the rest is what it expects

    def _ask(self, command, answer):
        request(self.client, command)
        self._answers.append(answer)

    def check(self):
        """All that has come: for it alone or in its room, and nothing else."""
        told = self.client.unanswered()
        heard = self.client.unheard(self.room)
        assert len(self.client.transcript) == len(told) + len(heard)
        self.client.forget()
        for line in told:
            self._check_told(line.removeprefix("* "))
        for line in heard:
            self._check_heard(line)

    def _check_told(self, line):
        private = PRIVATE.fullmatch(line)
        if private:
            assert private[2] == private_words(private[1], self.nick)
            return
        assert self._answers, f"{self.nick} did not ask for {line!r}"
        due = self._answers.popleft()
        if isinstance(due, str):
            assert line == due
        else:
            assert due.fullmatch(line), (due, line)
            assert due != JOINED or due.fullmatch(line)[1] == self.room

    def _check_heard(self, line):
        match = WORDS.fullmatch(line)
        assert match, f"{self.nick} in {self.room} heard {line!r}"
        nick, number = match[1], int(match[3])
        said = line.removeprefix(f"{nick}: ")
        assert said in (
            words(nick, self.room, number),
            half_words(nick, self.room, number),
        )
        # Of itself it hears all, of others all from its coming on.
        first = 0 if nick == self.nick else number
        assert number == self._heard.get(nick, first - 1) + 1
        self._heard[nick] = number
        assert nick == self.nick or not self.room.startswith("own")
