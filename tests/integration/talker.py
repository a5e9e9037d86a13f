"""Many who talk at once, in rooms that they join and leave and under nicks that
they change, and are held to account for it at the end.

Each room has a host: a client of `frame` that came first and stays. What it has
heard, from message 1 on, is the record of that room, and what anybody else has
heard there must be a piece of it: what stands after its own `joined`, up to its
own `left`, every line, once, in that order. So nobody need be asked for an
answer meanwhile, and none of it depends on how fast anything is.
"""

import re
import select
import socket
from collections import Counter

from binary_client import line_of
from client import TextClient, is_error
from wire_frame import Type

ROOMS_MAX = 3
# What is not text is from a binary client: one that answers nobody's ping.
COMMAND_ID = 1

EVENT = re.compile(r"\* c(\d+)-\d+ (joined|left)")
LAGGED = re.compile(r"\* lagged: (\d+) messages missed")
MESSAGE = re.compile(r"c\d+-\d+: (.*)")
LETTER = re.compile(r"\(private\) c\d+-\d+: (.*)")


class Talker:
    """A client and what it has asked for. It is in at most ROOMS_MAX rooms,
    the current one last."""

    def __init__(self, client, number):
        self.client = client
        self.number = number
        self.rooms = []
        self.visited = set()
        self.said = []  # (room, text)
        self.due = []  # (what it is answered, the letter that this is about)
        self.letters = {}  # the text: the number of who it is to
        self.went = None  # or "in order", or "broke off"
        self._names = 0
        self._outgoing = []
        if not self.is_text:
            client.stays_in_rooms = False
        self.rename()
        self._request("leave lobby", "left lobby")

    @property
    def is_text(self):
        return isinstance(self.client, TextClient)

    @property
    def nick(self):
        return f"c{self.number}-{self._names}"

    # --- what it asks for, to be sent in one piece

    def rename(self):
        self._names += 1
        self._request(f"nick {self.nick}", f"you are now {self.nick}")

    def join(self, room):
        self.rooms.append(room)
        self.visited.add(room)
        self._request(f"join {room}", rf"joined {room} \(\d+ members\)")

    def leave(self, room):
        self.rooms.remove(room)
        self._request(f"leave {room}", f"left {room}")

    def write_to(self, other):
        """Privately, to one who may have gone, or have another nick."""
        text = f"letter {self.number}.{len(self.letters)}"
        self.letters[text] = other.number
        outcome = f"sent to {other.nick}|! (no-such-nick|receiver-busy).*"
        self._request(f"msg {other.nick} {text}", outcome, text)

    def speak(self, length):
        """In the current room; if it is in none it keeps silent."""
        if not self.rooms:
            return
        text = f"{self.number}.{len(self.said)} " + "x" * length
        self.said.append((self.rooms[-1], text))
        if self.is_text:
            self._outgoing.append(f"{text}\n".encode())
        else:
            made = self.client.make_message(text, id=len(self.said))
            self._outgoing.append(made)

    def quit(self):
        """Takes its leave: what it has said and asked for comes before the
        end."""
        if self.is_text:
            self._request("quit", "bye")
        self.send()
        self.client.half_close()
        self.client.read_to_end()
        self.client.close()
        self.went = "in order"

    def break_off(self):
        """Is gone at once, with what is on its way in both directions."""
        self.send()
        if self.client.socket.family == socket.AF_UNIX:
            self.client.close()  # a reset, for it has not read everything
        else:
            self.client.reset()
        self.went = "broke off"

    def send(self):
        data, self._outgoing = b"".join(self._outgoing), []
        self.client.send(data)

    def do_something(self, chance, others, rooms, length_max):
        deed = chance.randrange(10)
        elsewhere = sorted(set(rooms) - set(self.rooms))
        if deed < 5:
            self.speak(chance.randrange(length_max))
        elif deed < 6:
            self.write_to(chance.choice(others))
        elif deed < 7:
            self.rename()
        elif elsewhere and len(self.rooms) < chance.randrange(ROOMS_MAX + 1):
            self.join(chance.choice(elsewhere))
        elif len(self.rooms) > 1:
            self.leave(chance.choice(self.rooms))

    def _request(self, line, answer, letter=None):
        if self.is_text:
            self._outgoing.append(f"/{line}\n".encode())
        else:
            self._outgoing.append(self.client.make_command(line, COMMAND_ID))
        self.due.append((re.compile(answer), letter))


class Host(Talker):
    """One that stays in its room, and talks there."""

    def __init__(self, client, number, room):
        super().__init__(client, number)
        client.stays_in_rooms = True
        self.join(room)

    def do_something(self, chance, others, rooms, length_max):
        self.speak(chance.randrange(length_max))


def take_in(talkers):
    """What there is for them, without waiting for more."""
    waiting = select.poll()
    sockets = {}
    for talker in talkers:
        if not talker.client.ended:
            sockets[talker.client.socket.fileno()] = talker.client
            waiting.register(talker.client.socket, select.POLLIN)
    for descriptor, _ in waiting.poll(0):
        sockets[descriptor].sip(65536)


def settle_in(clients, rooms):
    """The first of these clients, of `frame`, become the hosts of the rooms,
    and have joined them; the others talkers. All have been welcomed."""
    hosts = [
        Host(client, number, room)
        for number, (client, room) in enumerate(zip(clients, rooms))
    ]
    for host in hosts:
        host.send()
    for host, room in zip(hosts, rooms):
        # Whatever is said in it from now on, the host hears.
        told = [host.client.reply() for _ in host.due]
        assert told[-1] == f"joined {room} (1 members)", told
        host.due.clear()
    others = clients[len(hosts) :]
    return hosts, [Talker(who, n) for n, who in enumerate(others, len(hosts))]


# --- how they are held to account


class Record:
    """What the host of a room has heard there, from its joining on."""

    def __init__(self, host, room):
        told = [
            message
            for message in host.client.transcript
            if message.type in (Type.MESSAGE, Type.NOTICE)
            and message.room == room
        ]
        self.lines = [line_of(message) for message in told]
        self.comings = [EVENT.fullmatch(line) for line in self.lines]
        words = [message for message in told if message.type == Type.MESSAGE]
        self.seqs = {message.text: message.seq for message in words}
        assert list(self.seqs.values()) == list(range(1, len(words) + 1))

    def due_to(self, number):
        """What somebody hears of it: what "comes after its own `joined`", and
        nothing that comes after its own `left`."""
        due, inside = [], False
        for line, coming in zip(self.lines, self.comings):
            if coming and int(coming[1]) == number:
                inside = coming[2] == "joined"
            elif inside:
                due.append(line)
        return due


def follow(heard, due):
    """Goes through what is due with what was heard. A gap is told, and as long
    as it is told to be, in messages; returns what has not been heard in the
    end."""
    rest = iter(due)
    missed_some = False
    for line in heard:
        lagged = LAGGED.fullmatch(line)
        missed = int(lagged[1]) if lagged else 0
        while missed > 0:
            missed -= bool(MESSAGE.fullmatch(next(rest)))
        if lagged:
            missed_some = True
            continue
        expected = next(rest, "nothing more")
        while missed_some and expected != line and expected.startswith("* "):
            expected = next(rest)  # what was told with what it missed
        assert line == expected
        missed_some = False
    return list(rest)


class Accounts:
    """All of them, when all streams have ended."""

    def __init__(self, hosts, talkers):
        self.hosts, self.talkers = hosts, talkers
        self.records = {
            host.rooms[0]: Record(host, host.rooms[0]) for host in hosts
        }
        self.broken_off = {
            talker.number for talker in talkers if talker.went == "broke off"
        }
        self.letters = Counter()  # as they were received: (text, by whom)
        self.answers = {}  # those of each one's requests

    def check(self):
        everybody = (*self.hosts, *self.talkers)
        said = sum(self.check_said(talker) for talker in everybody)
        assert said == sum(len(r.seqs) for r in self.records.values())
        for talker in self.talkers:
            self.check_heard(talker)
        for talker in everybody:
            self.check_told(talker)
        for talker in everybody:
            self.check_letters(talker)
        assert not self.letters, "a letter that was to somebody else"

    @property
    def lags(self):
        """How often somebody was told that it had missed something."""
        return sum(
            "lagged" in str(told)
            for talker in self.talkers
            for told in talker.client.transcript
        )

    def check_said(self, talker):
        """What it has said first is in the rooms, up to some place, and its
        ACKs say where; returns how much."""
        seqs = [self.records[room].seqs.get(text) for room, text in talker.said]
        count = sum(seq is not None for seq in seqs)
        assert all(seqs[:count]), "something is missing in between"
        assert count == len(seqs) or talker.went != "in order"
        if not talker.is_text:
            confirmed = [ack.seq for ack in talker.client.confirmed()]
            assert confirmed == seqs[: len(confirmed)]
            assert len(confirmed) == count or talker.went == "broke off"
        return count

    def check_heard(self, talker):
        for room in talker.visited:
            due = self.records[room].due_to(talker.number)
            rest = follow(talker.client.unheard(room), due)
            assert not rest or talker.went == "broke off", (room, rest[:3])

    def check_told(self, talker):
        """What is for it alone: letters, and an answer to each of its requests
        up to the last one that counted."""
        told = talker.client.unanswered()
        if not talker.went:
            assert is_error(told.pop(), "shutdown")
        answers = []
        for line in told:
            letter = LETTER.fullmatch(line)
            if letter:
                self.letters[letter[1], talker.number] += 1
            else:
                answers.append(line.removeprefix("* "))
        for line, (answer, _) in zip(answers, talker.due):
            assert answer.fullmatch(line), (talker.number, line, answer)
        assert len(answers) <= len(talker.due)
        assert len(answers) == len(talker.due) or talker.went != "in order"
        self.answers[talker.number] = answers

    def check_letters(self, talker):
        """What was said to be sent has come, once, and only to whom it was
        written; what was not, once at most."""
        answers = self.answers[talker.number]
        for line, (_, letter) in zip(answers, talker.due):
            if letter and line.startswith("sent to "):
                to = talker.letters[letter]
                assert to in self.broken_off or self.letters[letter, to] == 1
        for letter, to in talker.letters.items():
            assert self.letters.pop((letter, to), 0) <= 1, letter
