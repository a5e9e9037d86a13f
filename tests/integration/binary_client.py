"""What the clients of the binary dialects have in common, written from
docs/protocol.md alone.

A dialect makes the bytes of a message (`make_ack`, `make_message`, ...) and
reads messages (`_next`), each with its `type` and the fields of that type as
attributes, the same ones in both dialects. Here they are filed, and held to
what does not depend on the dialect. `reply` and `hear` say what the text
dialect would, but for the `* ` before a reply.
"""

import contextlib
import re
import time
from collections import deque

from client import Client
from timing import WAIT, Expired
from wire_frame import ERROR_CODES, PRIVATE_ROOM, Type

GUEST = re.compile(r"guest-[0-9A-Fa-f]{4,8}")
NOTICE_FORMS = {
    "joined": "* {nick} joined",
    "left": "* {nick} left",
    "nick": "* {nick} is now {text}",
    "topic": "* {nick} set the topic: {text}",
    "lagged": "* lagged: {text} messages missed",
}


def line_of(message):
    """A message as a line of the text dialect, without what says to whom."""
    if message.type == Type.NOTICE:
        return NOTICE_FORMS[message.kind].format(**vars(message))
    if message.type == Type.MESSAGE:
        private = "(private) " if message.room == PRIVATE_ROOM else ""
        return f"{private}{message.nick}: {message.text}"
    if message.type == Type.ERROR:
        return f"! {message.text}"
    assert message.type == Type.REPLY, f"not a line: {message}"
    return message.text


class BinaryClient(Client):
    def __init__(self, url, **socket_options):
        super().__init__(url, **socket_options)
        self.init = None
        self.answers_pings = True
        # To who leaves a room and comes again, what was said is no gap.
        self.stays_in_rooms = True
        self._last_id = 0
        self._acks = deque()
        self._pings = deque()
        self._pongs = deque()
        self._seqs = {}

    # --- the handshake

    def expect_init(self):
        """The server begins with SESSION_INIT; returns it."""
        self.init = self.take(Type.SESSION_INIT)
        return self.init

    def expect_welcome(self, nick=""):
        """The handshake from the first byte on. Without a nick a guest."""
        self.expect_init()
        self.enter(nick)

    def enter(self, nick=""):
        """Says who it is, and is welcomed."""
        self.send(self.make_ack(nick))
        welcome = self.take(Type.WELCOME)
        assert welcome.room == "lobby"
        assert welcome.nick == nick or not nick and GUEST.fullmatch(
            welcome.nick
        )
        self.nick = welcome.nick

    # --- sending

    def say(self, *texts, seconds=WAIT, **where):
        """Sends messages in one piece, to the current room unless told
        where."""
        self.send(
            b"".join(self.make_message(text, **where) for text in texts),
            seconds,
        )

    def command(self, line):
        """Sends a command; returns the id by which it is answered."""
        self._last_id += 1
        self.send(self.make_command(line, self._last_id))
        return self._last_id

    def ping(self, stamp):
        """Pings the server and awaits its pong."""
        self.send(self.make_beat("ping", stamp))
        assert self.take_pong().stamp == stamp

    def answer(self, ping):
        self.send(self.make_beat("pong", ping.stamp))

    def disconnect(self):
        """Takes its leave and is let go; what comes before that is filed."""
        self.send(self.make_disconnect())
        self.read_to_end()
        self.expect_disconnect()

    def provoke(self):
        """Makes the server say something."""
        self.command("help")

    # --- receiving

    def take_next(self, seconds=WAIT):
        """The next message for this client alone, but for ACKs and
        heartbeats."""
        return super().reply(seconds)

    def take(self, number, seconds=WAIT):
        """The same, which is of this type."""
        message = self.take_next(seconds)
        assert message.type == number, f"not {number!r}: {message}"
        return message

    def reply(self, seconds=WAIT):
        return line_of(self.take_next(seconds))

    def hear(self, room, seconds=WAIT):
        return line_of(self.hear_event(room, seconds))

    def hear_event(self, room, seconds=WAIT):
        """The next message or notice of a room as it came."""
        return self._take(self._rooms[room], f"words of {room}", seconds)

    def take_ack(self):
        return self._take(self._acks, "an ACK", WAIT)

    def confirmed(self):
        """The ACKs that have come and have not been taken."""
        return [self.take_ack() for _ in range(len(self._acks))]

    def take_ping(self):
        return self._take(self._pings, "a ping", WAIT)

    def take_pong(self):
        return self._take(self._pongs, "a pong", WAIT)

    def listen(self, seconds):
        """Takes in whatever comes in that time."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(Expired):
            while True:
                self._read("nothing", deadline)

    # --- asking

    def ask(self, line):
        """Sends a command that has one REPLY; returns its text."""
        [text] = self.ask_list(line)
        return text

    def ask_list(self, line):
        """Sends a command; returns the texts of all REPLYs to it."""
        number = self.command(line)
        texts, more = [], True
        while more:
            reply = self.take(Type.REPLY)
            assert reply.id == number
            texts.append(reply.text)
            more = reply.more
        return texts

    def expect_error(self, name, id=0):
        """The next message for this client alone is this error, in answer to
        what had this id; returns it."""
        error = self.take(Type.ERROR)
        assert (error.name, error.id) == (name, id)
        return error

    def expect_closed(self, name, id=0):
        """The same, and then the server ends the stream, without a reset."""
        self.expect_error(name, id)
        self.expect_end()

    def expect_disconnect(self):
        """The server has let this client go, and ends the stream."""
        assert self.take(Type.DISCONNECT).code == 0
        self.expect_end()

    def become(self, nick):
        assert self.ask(f"nick {nick}") == f"you are now {nick}"
        self.nick = nick

    def join(self, room):
        line = self.ask(f"join {room}")
        assert re.fullmatch(r"joined \S+ \(\d+ members\)", line), line

    # --- how messages are read

    def _file_whole(self):
        while (message := self._next()) is not None:
            self._check(message)
            self.transcript.append(message)
            self._queue_for(message).append(message)

    def _queue_for(self, message):
        if message.type == Type.ACK:
            return self._acks
        if message.type == Type.HEARTBEAT:
            return self._file_beat(message)
        if getattr(message, "room", PRIVATE_ROOM) == PRIVATE_ROOM:
            return self._replies
        if message.type == Type.WELCOME:
            return self._replies
        return self._rooms[message.room]

    def _file_beat(self, beat):
        if beat.kind == "pong":
            return self._pongs
        if self.answers_pings:
            # The server may have gone since, or this side of the stream.
            with contextlib.suppress(OSError):
                self.answer(beat)
        return self._pings

    def _check(self, message):
        if message.type == Type.ERROR:
            assert ERROR_CODES[message.name] == message.code, message
            assert f"{message.text} ".startswith(f"{message.name} "), message
        elif message.type in (Type.MESSAGE, Type.NOTICE):
            if self.stays_in_rooms:
                self._check_seq(message)

    def _check_seq(self, message):
        """That a room's numbers have no gap but what is told to be missed,
        from the first one known on."""
        if message.room == PRIVATE_ROOM:
            assert message.seq == 0, message
            return
        last = self._seqs.get(message.room)
        if message.type == Type.NOTICE and message.kind == "lagged":
            assert int(message.text) > 0 and message.nick == "", message
            seq = None if last is None else last + int(message.text)
        elif message.seq is None:
            return
        else:
            seq = message.seq
            step = 1 if message.type == Type.MESSAGE else 0
            assert last is None or seq == last + step, (last, message)
        self._seqs[message.room] = seq
