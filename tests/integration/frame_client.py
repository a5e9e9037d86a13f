"""A client of the frame dialect, written from docs/protocol.md alone."""

import wire_frame
from binary_client import BinaryClient
from wire_frame import NOTICES, PING, PONG, VERSION, Type, to_server

BEATS = {PING: "ping", PONG: "pong"}
BEAT_KINDS = {name: kind for kind, name in BEATS.items()}
MORE = {0: False, 1: True}


class FrameClient(BinaryClient):
    # --- what it sends, as bytes

    def make_ack(self, nick=""):
        return to_server(Type.SESSION_ACK, version=VERSION, nick=nick)

    def make_message(self, text, id=0, room="", to=None):
        target = f"@{to}" if to else room
        return to_server(Type.MESSAGE, id=id, target=target, text=text)

    def make_command(self, line, id=0):
        return to_server(Type.COMMAND, id=id, text=line)

    def make_beat(self, kind, stamp):
        return to_server(Type.HEARTBEAT, kind=BEAT_KINDS[kind], stamp=stamp)

    def make_disconnect(self):
        return to_server(Type.DISCONNECT, code=0, text="")

    def make_offer(self):
        return to_server(
            Type.FILE_OFFER, transfer=1, nick="bob", name="cat.png", size=5,
            sha256=bytes(32),
        )

    def make_unknown(self, number, body=b""):
        """A message of a type that there is not, or that is not a client's."""
        return wire_frame.frame(number, body)

    # --- what it reads

    def _next(self):
        found = wire_frame.take(self._begun)
        if found is None:
            return None
        message = wire_frame.from_server(*found)
        if message.type == Type.HEARTBEAT:
            message.kind = BEATS[message.kind]
        elif message.type == Type.NOTICE:
            message.kind = NOTICES[message.kind]
            message.seq = None  # in this dialect it says none
        elif message.type == Type.REPLY:
            message.more = MORE[message.more]
        elif message.type == Type.ERROR:
            message.name = message.text.split(" ")[0]
        elif message.type == Type.SESSION_INIT:
            assert message.version == VERSION
        return message
