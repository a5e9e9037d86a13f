"""What is compared: the workloads as a table, and who can do which.

Each is options of ringchat-load(1), which has the words; `connect` alone is
connect.py's. What stands in one
`group` is measured in turn, round for round, so that its figures can be held
against each other. Starts nothing, measures nothing.
"""

from dataclasses import dataclass

# What the dialects let be said: ringchat-load(1), URLS.
LONGEST = {"text": 4095, "frame": 16347, "irc": 369}
# A client is a thread of stage 1, two of stage 2.
THREADED = ("stage1", "stage2")
THREADED_MOST = 1000
# Who comes into a channel is told to all in it: ten thousand are 50 million
# lines before anybody has said a word.
CHANNEL_MOST = 1000


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    about: str
    kind: str  # ringchat-load's --workload, or `connect`
    clients: int
    options: tuple = ()  # further ones, in pairs
    size: int = 64
    dialect: str = "text"  # of Ringchat; others have one each
    unit: str = "deliveries"
    group: str = ""  # by itself that of its name
    rounds: int = 99  # at most
    seconds: float = 9.0  # measured at most
    seconds_min: float = 0.0  # measured at least, in a quick run too
    quick: bool = True  # whether QUICK=1 has it
    ours: bool = False  # asks a dialect of Ringchat: of the stages alone
    one_room: bool = True
    calls: bool = False  # whether system calls are counted
    curve: str = ""  # a point of a curve, rather than a row of the table
    x: int = 0

    @property
    def load(self):
        """What ringchat-load is given, in all dialects alike."""
        silent = self.unit == "members"
        sized = () if silent else ("--size", self.size)
        return (
            "--workload", self.kind, "--clients", self.clients, *sized,
            *self.options,
        )

    @property
    def shown_load(self):
        if self.kind == "connect":
            return f"connect.py {self.clients}"
        return " ".join(["ringchat-load", *map(str, self.load)])

    def measured_seconds(self, wanted):
        return max(self.seconds_min, min(wanted, self.seconds))

    @property
    def where(self):
        return self.group or self.name


def fanout(name, title, about, senders, clients, window, **more):
    options = ("--senders", senders, "--window", window)
    return Workload(name, title, about, "fanout", clients, options, **more)


WORKLOADS = (
    fanout(
        "fanout-1-100", "1 to 100, 64 bytes, 256 unconfirmed",
        "One speaks as fast as it can, a hundred hear it.",
        1, 100, 256, calls=True,
    ),
    fanout(
        "fanout-10-1000", "10 to 1,000, 64 bytes, 8 unconfirmed each",
        "Ten speak at the same time in a room of a thousand.",
        10, 1000, 8, calls=True,
    ),
    fanout(
        "fanout-1-10-4k", "1 to 10, 4 KiB, 64 unconfirmed",
        "Long messages, few who hear them: the stages in frame, as a line "
        "of text ends at 4,095 bytes.",
        1, 10, 64, size=4096, dialect="frame", group="long",
    ),
    fanout(
        "fanout-1-10-4k-16", "1 to 10, 4 KiB, 16 unconfirmed",
        "The same with less on its way.",
        1, 10, 16, size=4096, dialect="frame", group="long", rounds=2,
        quick=False,
    ),
    fanout(
        "fanout-window-1", "1 to 100, 64 bytes, 1 unconfirmed",
        "Nothing to batch: the next is said when all have heard the last.",
        1, 100, 1, calls=True,
    ),
    Workload(
        "paced", "1,000 messages a second to 100, by a schedule",
        "What users see of a server that is far from its limits.",
        "paced", 100, ("--senders", 1, "--rate", 1000), calls=True,
        seconds_min=2.0,
    ),
    Workload(
        "echo", "100 clients, each hears itself, 1 unconfirmed",
        "A message without fan-out: the way there and back.",
        "echo", 100, unit="round trips", one_room=False, calls=True,
    ),
    Workload(
        "connected-10000", "10,000 connected who have said nothing",
        "Connections that only hear, in the room that all come to: what the "
        "server has grown by since before the first of them.",
        "connect", 10000, unit="members", rounds=2, seconds=0, ours=True,
    ),
    Workload(
        "idle-10000", "10,000 who have entered a room and are silent",
        "What connected ones need, and what entering adds: a membership "
        "beside the first room's, and ten seconds of traffic to tell a rate "
        "by, which the server keeps of all that have said or asked anything.",
        "idle", 10000, unit="members", rounds=2, seconds=0.2, quick=False,
    ),
    Workload(
        "idle-1000", "1,000 who have entered a room and are silent",
        "The same, few enough for a thread or two each.",
        "idle", 1000, unit="members", rounds=2, seconds=0.2, quick=False,
    ),
    fanout(
        "fanout-frame", "1 to 100 in frame, 64 bytes, 256 unconfirmed",
        "As in text, in the compact dialect.",
        1, 100, 256, dialect="frame", ours=True, group="dialects",
    ),
    fanout(
        "fanout-secure", "1 to 100 in secure, 64 bytes, 256 unconfirmed",
        "The same, signed by the speaker and by the server.",
        1, 100, 256, dialect="secure", ours=True, group="dialects",
    ),
    fanout(
        "fanout-frame-16", "4 to 100 in frame, 64 bytes, 16 unconfirmed each",
        "As ringchat-load does when it is told no more.",
        4, 100, 16, dialect="frame", ours=True, group="dialects-16", rounds=2,
        quick=False,
    ),
    fanout(
        "fanout-secure-16",
        "4 to 100 in secure, 64 bytes, 16 unconfirmed each",
        "The same, signed.",
        4, 100, 16, dialect="secure", ours=True, group="dialects-16",
        rounds=2, quick=False,
    ),
    Workload(
        "echo-frame", "100 clients in frame, 208 bytes, each hears itself",
        "What one message costs in frame that is as long on the wire as one "
        "of 64 bytes in secure.",
        "echo", 100, size=208, dialect="frame", unit="round trips", rounds=2,
        one_room=False, ours=True, group="publishing",
    ),
    Workload(
        "echo-secure", "100 clients in secure, 64 bytes, each hears itself",
        "What one message costs that is verified and signed.",
        "echo", 100, dialect="secure", unit="round trips", rounds=2,
        one_room=False, ours=True, group="publishing",
    ),
    Workload(
        "rooms", "1,000 clients in rooms of 10, all speak",
        "Many small rooms, one message of each on its way.",
        "rooms", 1000, rounds=2, one_room=False, quick=False,
    ),
    Workload(
        "bulk", "1 to 10, 1 MiB, 2 unconfirmed",
        "The longest messages: the stages in secure.",
        "bulk", 10, size=1 << 20, dialect="secure", rounds=2, quick=False,
    ),
    Workload(
        "churn", "100 clients come, say one message, hear it, and leave",
        "Connections a second.",
        "churn", 100, unit="visits", rounds=2, one_room=False, quick=False,
    ),
)

CURVES = {
    "receivers": ("Deliveries a second against receivers", "receivers"),
    "sizes": ("Deliveries a second against message size", "bytes"),
}
RECEIVERS = (10, 30, 100, 300, 1000)
SIZES = (16, 64, 256, 1024, 4000)


def point(curve, x, clients, size):
    return fanout(
        f"{curve}-{x}", f"1 to {clients:,}, {size:,} bytes, 64 unconfirmed",
        "A point of a curve.",
        1, clients, 64, size=size, group=curve, rounds=1, seconds=0.7,
        curve=curve, x=x,
    )


POINTS = tuple(
    [point("receivers", n, n, 64) for n in RECEIVERS]
    + [point("sizes", n, 100, n) for n in SIZES]
)


def asks(workload, server):
    """Whether the question makes sense: `raw echo` only echoes, `raw relay`
    does all else."""
    if server.name == "raw-echo":
        return workload.kind == "echo" and not workload.ours
    return not (server.name == "raw-relay" and workload.kind == "echo")


def dialect(workload, server):
    return workload.dialect if server.kind == "stage" else server.dialects[0]


def why_not(workload, server):
    """Why a server cannot do this; None if it can."""
    spoken = dialect(workload, server)
    if workload.ours and server.kind != "stage":
        return f"speaks {spoken} only"
    if spoken not in server.dialects:
        return f"does not speak {spoken}"
    if workload.size > LONGEST.get(spoken, workload.size):
        return f"{spoken} has no messages of {workload.size:,} bytes"
    if server.name in THREADED and workload.clients > THREADED_MOST:
        return "has threads for each client"
    if spoken == "irc":
        return why_not_irc(workload)
    if server.name == "raw-relay" and not workload.one_room:
        return "has one room"
    return None


def why_not_irc(workload):
    if workload.kind == "churn":
        return "who speaks does not hear itself"
    if workload.one_room and workload.clients > CHANNEL_MOST:
        return "tells all in a channel of each who comes"
    return None
