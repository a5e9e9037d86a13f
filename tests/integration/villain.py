"""Servers that mean ill: they speak each dialect as far as a client can be let
in, and then say what no server says.

What is sent is bytes that a test makes; who connects is let in, and what it
says is answered, in a thread of its own.
"""

import contextlib
import socket
import threading
import uuid

import wire_frame
import wire_secure
from secure_client import KEY
from timing import WAIT
from wire_frame import NOTICE_KINDS, PING, PONG, Type

SESSION = uuid.UUID(int=7)
BOOT = uuid.UUID(int=9)
CONTENT_MAX = 1 << 20


class Text:
    """Events as lines. Text may hold anything."""

    scheme = "text"

    def greeting(self, nick=b"guest-0001", room=b"lobby"):
        return (b"* welcome to ringchat, you are %s, in %s; "
                b"/help lists commands\n" % (nick, room))

    def message(self, room, nick, text):
        return b"[%s] %s: %s\n" % (room, nick, text)

    def private(self, nick, text):
        return b"(private) %s: %s\n" % (nick, text)

    def notice(self, kind, room, nick, text=b""):
        event = {
            "joined": b"%s joined" % nick,
            "left": b"%s left" % nick,
            "nick": b"%s is now %s" % (nick, text),
            "topic": b"%s set the topic: %s" % (nick, text),
            "lagged": b"lagged: %s messages missed" % text,
        }[kind]
        return b"[%s] * %s\n" % (room, event)

    def error(self, text, code=4):
        names = {code: name for name, code in wire_frame.ERROR_CODES.items()}
        return b"! %s %s\n" % (names[code].encode(), text)

    def reply(self, text, id=0, more=0):
        return b"* %s\n" % text

    def ack(self, id, seq=1):
        return b""

    def disconnect(self, text):
        return b"! shutdown %s\n" % text

    def answers(self, stream):
        """What to say to what has come; takes it off the stream."""
        said = []
        while b"\n" in stream:
            line, _, rest = bytes(stream).partition(b"\n")
            stream[:] = rest
            word, _, text = line.partition(b" ")
            if word == b"/echo":
                said.append(text + b"\n")
            elif word == b"/nick":
                said.append(b"* you are now %s\n" % text)
            elif word == b"/quit":
                said.append(b"* bye\n")
            elif line and not line.startswith(b"/"):
                said.append(self.message(b"lobby", b"alice", line))
        return said


class Frame:
    scheme = "frame"

    def __init__(self):
        self.seq = 0

    def make(self, type, **fields):
        return wire_frame.to_client(type, **fields)

    def greeting(self, nick=b"alice", room=b"lobby"):
        return self.make(
            Type.SESSION_INIT, version=1, session=SESSION.bytes, heartbeat=5,
            max_content=CONTENT_MAX) + self.welcome(nick, room)

    def welcome(self, nick, room):
        return self.make(Type.WELCOME, nick=nick, room=room)

    def message(self, room, nick, text):
        self.seq += 1
        return self.make(Type.MESSAGE, seq=self.seq, time=1, room=room,
                         nick=nick, text=text)

    def private(self, nick, text):
        return self.make(Type.MESSAGE, seq=0, time=1, room=b"@", nick=nick,
                         text=text)

    def notice(self, kind, room, nick, text=b""):
        if kind == "lagged":
            nick = b""
        return self.make(Type.NOTICE, kind=NOTICE_KINDS[kind], room=room,
                         nick=nick, text=text)

    def error(self, text, code=4, id=0):
        return self.make(Type.ERROR, code=code, id=id, text=text)

    def reply(self, text, id=0, more=0):
        return self.make(Type.REPLY, id=id, more=more, text=text)

    def ack(self, id, seq=1):
        return self.make(Type.ACK, id=id, seq=seq)

    def disconnect(self, text):
        return self.make(Type.DISCONNECT, code=33, text=text)

    def pong(self, stamp):
        return self.make(Type.HEARTBEAT, kind=PONG, stamp=stamp)

    def take(self, stream):
        taken = wire_frame.take(stream)
        if taken is None:
            return None
        message = wire_frame.from_client(*taken)
        ping = message.type == Type.HEARTBEAT and message.kind == PING
        return message.type, getattr(message, "id", 0), \
            message.stamp if ping else None, \
            getattr(message, "text", "").encode()

    def answers(self, stream):
        said = []
        while taken := self.take(stream):
            type, id, stamp, text = taken
            if stamp is not None:
                said.append(self.pong(stamp))
            elif type == Type.COMMAND:
                said.append(self.reply(b"end", id))
            elif type == Type.MESSAGE:
                said.append(self.message(b"lobby", b"alice", text))
                said.append(self.ack(id, self.seq))
            elif type == Type.DISCONNECT:
                said.append(self.make(Type.DISCONNECT, code=0, text=b""))
        return said


class Secure(Frame):
    """The same fields, in headers; fields of `wrong` are wire_secure.build's,
    and `headers` replace what would be right."""

    scheme = "secure"

    def __init__(self):
        super().__init__()
        self.number = 0

    def make(self, type, wrong=None, headers=None, **fields):
        content = fields.pop("text", b"")
        for name in ("nick", "room"):
            if name in fields:
                fields[name] = fields[name].decode("utf-8", "replace")
        self.number += 1
        made = {"session": str(SESSION), "seq": self.number,
                **self.headers(type, fields), **(headers or {})}
        return wire_secure.build(KEY, type, made, content, **(wrong or {}))

    def headers(self, type, fields):
        seq = fields.pop("seq", 0)
        if type == Type.SESSION_INIT:
            return {"boot": str(BOOT), "heartbeat": 5,
                    "max_content": CONTENT_MAX}
        if type == Type.HEARTBEAT:
            return {"kind": "pong", "stamp": fields["stamp"]}
        if type == Type.MESSAGE:
            return {**fields, "room_seq": seq,
                    "content_type": wire_secure.PLAIN_TEXT}
        if type == Type.NOTICE:
            names = {kind: name for name, kind in NOTICE_KINDS.items()}
            return {**fields, "room_seq": self.seq,
                    "kind": names[fields["kind"]]}
        if type == Type.ERROR:
            names = {code: n for n, code in wire_frame.ERROR_CODES.items()}
            found = {"code": fields["code"], "name": names[fields["code"]]}
            return {**found, **({"id": fields["id"]} if fields["id"] else {})}
        if type == Type.REPLY:
            found = {"more": bool(fields["more"])}
            return {**found, **({"id": fields["id"]} if fields["id"] else {})}
        if type == Type.ACK:
            return {"id": fields["id"], "room_seq": seq}
        return fields

    def take(self, stream):
        message = wire_secure.take(stream, KEY)
        if message is None:
            return None
        ping = message.headers.get("kind") == "ping"
        return Type(message.type), message.headers.get("id", 0), \
            message.headers["stamp"] if ping else None, message.content


DIALECTS = {"text": Text, "frame": Frame, "secure": Secure}


class Peer:
    """One that has connected. `greeting`: what it is sent first; None: nothing,
    and it is not listened to either."""

    def __init__(self, sock, dialect, greeting):
        self.socket = sock
        self.dialect = dialect
        self.taken = b""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._answer, daemon=True)
        if greeting is not None:
            self.send(greeting)
            self._thread.start()

    def send(self, data):
        """False: it is not there any more."""
        try:
            with self._lock:
                self.socket.sendall(data)
        except OSError:
            return False
        return True

    def _answer(self):
        stream = bytearray()
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.taken += data
                stream += data
                for answer in self.dialect.answers(stream):
                    self.send(answer)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self._thread.is_alive():
            self._thread.join(WAIT)


class Evil:
    """Listens; `accept` waits for the next who connects."""

    def __init__(self, dialect):
        self.dialect = DIALECTS[dialect]()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(WAIT)
        self.peers = []

    @property
    def url(self):
        port = self.listener.getsockname()[1]
        return f"{self.dialect.scheme}://127.0.0.1:{port}"

    def accept(self, greeting=...):
        sock, _ = self.listener.accept()
        sock.settimeout(WAIT)
        if greeting is ...:
            greeting = self.dialect.greeting()
        self.peers.append(Peer(sock, self.dialect, greeting))
        return self.peers[-1]

    def close(self):
        self.listener.close()
        for peer in self.peers:
            peer.close()
