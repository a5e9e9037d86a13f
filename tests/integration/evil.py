"""A server that does whatever its test wants: it greets a client as it should,
and then says what no server says."""

import contextlib
import socket
import uuid

import wire_frame
import wire_secure
from secure_client import KEY
from timing import WAIT
from wire_frame import Type

WELCOME = "* welcome to ringchat, you are guest-1a2b, in lobby; /help lists commands\n"
MAX_CONTENT = 1 << 20


class Evil:
    """Listens on a port of its own; `let_in` takes the next client."""

    def __init__(self, dialect):
        self.dialect = dialect
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT)
        self._peers = []

    @property
    def url(self):
        return f"{self.dialect}://127.0.0.1:{self._listener.getsockname()[1]}"

    def accept(self):
        """The next client, that has not been told anything."""
        sock, _ = self._listener.accept()
        sock.settimeout(WAIT)
        peer = {"text": TextPeer, "frame": FramePeer, "secure": SecurePeer}[
            self.dialect
        ](sock)
        self._peers.append(peer)
        return peer

    def let_in(self):
        """The next client, welcomed."""
        peer = self.accept()
        peer.greet()
        return peer

    def close(self):
        self._listener.close()
        for peer in self._peers:
            peer.close()


class Peer:
    def __init__(self, sock):
        self.socket = sock
        self.read = bytearray()
        self.room_seq = 0

    def send(self, data):
        self.socket.sendall(data)

    def send_what_it_takes(self, data):
        """All of it, unless the client goes before that."""
        with contextlib.suppress(ConnectionError):
            self.send(data)

    def close(self):
        self.socket.close()

    def expect_end(self):
        """The client goes."""
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(65536):
                pass

    def _next_in_room(self):
        self.room_seq += 1
        return self.room_seq

    def _more(self):
        data = self.socket.recv(65536)
        assert data, "the client has gone"
        self.read += data


class TextPeer(Peer):
    def greet(self):
        self.send(WELCOME.encode())

    def line(self):
        while b"\n" not in self.read:
            self._more()
        line, _, self.read = self.read.partition(b"\n")
        return line.decode()

    def message(self, text, room="lobby", nick="eve"):
        return f"[{room}] {nick}: ".encode() + text + b"\n"

    def saying(self, text):
        """All that a text can stand in."""
        return [
            b"[lobby] eve: " + text,
            b"(private) eve: " + text,
            b"* " + text,
            b"! no-room " + text,
            text,
            b"[lobby] * eve set the topic: " + text,
            b"[lobby] * " + text + b" joined",
            b"[" + text + b"] eve: hi",
            b"[lobby] " + text + b": hi",
            b"! " + text,
        ]


class FramePeer(Peer):
    def greet(self):
        self.send(
            wire_frame.to_client(
                Type.SESSION_INIT, version=1, session=bytes(16), heartbeat=5,
                max_content=16384,
            )
            + wire_frame.to_client(
                Type.WELCOME, nick="guest-1a2b", room="lobby"
            )
        )
        self.next()  # who it is

    def next(self):
        while (found := wire_frame.take(self.read)) is None:
            self._more()
        return wire_frame.from_client(*found)

    def next_of(self, number):
        while (message := self.next()).type != number:
            pass
        return message

    def message(self, text, room="lobby", nick="eve"):
        return wire_frame.to_client(
            Type.MESSAGE, seq=self._next_in_room(), time=0, room=room,
            nick=nick, text=text,
        )

    def saying(self, text):
        make = wire_frame.to_client
        return [
            self.message(text),
            self.message(b"hi", room=text),
            self.message(b"hi", nick=text),
            make(Type.REPLY, id=0, more=0, text=text),
            make(Type.REPLY, id=77, more=1, text=text),
            make(Type.ERROR, code=9, id=0, text=b"no-room " + text),
            make(Type.ERROR, code=60000, id=0, text=text),
            make(Type.NOTICE, kind=1, room="lobby", nick=text, text=""),
            make(Type.NOTICE, kind=2, room=text, nick="eve", text=""),
            make(Type.NOTICE, kind=3, room="lobby", nick="eve", text=text),
            make(Type.NOTICE, kind=4, room="lobby", nick="eve", text=text),
            make(Type.NOTICE, kind=5, room="lobby", nick="", text=text),
            make(Type.NOTICE, kind=99, room="lobby", nick="eve", text=text),
        ]


class SecurePeer(Peer):
    def __init__(self, sock):
        super().__init__(sock)
        self.session = str(uuid.uuid4())
        self.seq = 0

    def make(self, number, content=b"", wrong=None, **headers):
        """What is for this client alone."""
        self.seq += 1
        headers = {"session": self.session, "seq": self.seq, **headers}
        return wire_secure.build(KEY, number, headers, content, **(wrong or {}))

    def greet(self):
        self.init()
        self.send(self.make(Type.WELCOME, nick="guest-1a2b", room="lobby"))

    def init(self, **wrong):
        self.send(
            self.make(
                Type.SESSION_INIT, boot=str(uuid.uuid4()), heartbeat=5,
                max_content=MAX_CONTENT, wrong=wrong,
            )
        )

    def message(self, text, room="lobby", nick="eve", wrong=None):
        headers = {
            "room": room, "room_seq": self._next_in_room(), "nick": nick,
            "time": 0, "content_type": wire_secure.PLAIN_TEXT,
        }
        return wire_secure.build(
            KEY, Type.MESSAGE, headers, text, **(wrong or {})
        )

    def saying(self, text):
        name = text.decode()
        return [
            self.message(text),
            self.message(b"hi", room=name),
            self.message(b"hi", nick=name),
            self.make(Type.REPLY, text, more=False),
            self.make(Type.REPLY, text, more=True, id=77),
            self.make(Type.ERROR, text, code=9, name="no-room"),
            self.make(Type.ERROR, code=9, name=name),
        ]
