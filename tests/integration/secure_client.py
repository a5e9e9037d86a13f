"""A client of the secure dialect, in the clear or sealed, written from
docs/protocol.md alone."""

from types import SimpleNamespace

import wire_secure
from binary_client import BinaryClient
from wire_frame import Type
from wire_secure import ENC, Seal, derive_key, iv_of, uuid_bytes

KEY = bytes(range(32))


class SecureClient(BinaryClient):
    def __init__(self, url, sealed=False, key=KEY, **socket_options):
        super().__init__(url, **socket_options)
        self.key = key
        self.session = None
        self.seq = 0
        self.ivs = {}  # each one that was received, and with which message
        self._sealed = sealed
        self._sealed_from_now = False
        self._server_seq = 0

    # --- what it sends, as bytes

    def make(self, number, content=b"", seal=None, wrong=None, **headers):
        """The next message of this session; headers given replace its own. It
        is sealed if the session is, unless told. `wrong` are the fields of
        wire_secure.build."""
        self.seq += 1
        headers = {"session": self.session, "seq": self.seq, **headers}
        if seal is None:
            seal = self._sealed and number != Type.SESSION_ACK
        key = Seal(self.sealing_key(), self.seq) if seal else None
        content = content.encode() if isinstance(content, str) else content
        return wire_secure.build(
            self.key, number, headers, content, key, **(wrong or {})
        )

    def make_raw(self, number, headers, content=b"", **wrong):
        """A message with these bytes as its headers."""
        return wire_secure.build(self.key, number, headers, content, **wrong)

    def sealing_key(self):
        return derive_key(self.key, uuid_bytes(self.session))

    def make_ack(self, nick=""):
        headers = {"nick": nick} if nick else {}
        if self._sealed:
            headers["enc"] = ENC
            self._sealed_from_now = True
        return self.make(Type.SESSION_ACK, **headers)

    def make_message(self, text, id=0, **where):
        """To the current room, or as the headers `room` or `to` say."""
        return self.make(Type.MESSAGE, text, **self._with_id(id), **where)

    def make_command(self, line, id=0):
        return self.make(Type.COMMAND, line, **self._with_id(id))

    def make_beat(self, kind, stamp):
        return self.make(Type.HEARTBEAT, kind=kind, stamp=stamp)

    def make_disconnect(self):
        return self.make(Type.DISCONNECT)

    def make_offer(self):
        return self.make(
            Type.FILE_OFFER, transfer=1, to="bob", name="cat.png", size=5,
            sha256=bytes(32).hex(),
        )

    def make_unknown(self, number, body=b""):
        """A message of a type that there is not, or that is not a client's."""
        return self.make(number, body)

    @staticmethod
    def _with_id(id):
        return {"id": id} if id else {}

    # --- what it reads

    def _next(self):
        message = wire_secure.take(self._begun, self.key)
        if message is None:
            return None
        self._open(message)
        wire_secure.check_from_server(message)
        headers = dict(message.headers)
        if message.type == Type.SESSION_INIT:
            self._begin(headers)
        self._check_session(headers)
        return self._made_like_a_frame(message.type, headers, message.content)

    def _open(self, message):
        """Everything is sealed from when this is asked for, and only then."""
        assert ("enc" in message.headers) == self._sealed_from_now
        if not self._sealed_from_now:
            return
        number = iv_of(message.headers)
        assert number not in self.ivs, "an iv was used twice"
        seal = Seal(derive_key(self.key, self.boot), number)
        self.ivs[number] = message.header_bytes + message.content
        message.content = seal.open(message.content, message.header_bytes)

    def _begin(self, headers):
        assert self.session is None, "a second SESSION_INIT"
        self.session = headers["session"]
        self.boot = uuid_bytes(headers["boot"])

    def _check_session(self, headers):
        """What is for one session says for which, once that is known, and is
        no replay."""
        if "session" in headers:
            assert self.session in (None, headers["session"])
            seq = headers.pop("seq")
            assert seq > self._server_seq, "a replay"
            self._server_seq = seq

    @staticmethod
    def _made_like_a_frame(number, headers, content):
        """The fields have the names that they have in a frame."""
        for without in ("enc", "iv"):
            headers.pop(without, None)
        if "room_seq" in headers:
            headers["seq"] = headers.pop("room_seq")
        message = SimpleNamespace(
            **{"type": Type(number), "id": 0, "seq": None, **headers}
        )
        message.content = content
        kind = headers.get("content_type", wire_secure.PLAIN_TEXT)
        if kind.lower().startswith("text/"):
            message.text = content.decode()
        else:
            message.text = f"sent {kind} ({len(content)} bytes)"
        return message
