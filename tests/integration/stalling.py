"""How a reader is made to stall: by more than any socket buffer holds."""

from timing import PATIENCE, Expired

# With its number in front, near the longest line there may be.
LINE = "x" * 4000
# So much is said before it is listened to: less than a socket buffer holds.
BATCH = 20
# 8 MB, twice what Linux lets a TCP socket hold unasked (tcp_wmem).
FLOOD = 2000
# One who stalls has a small buffer, so that it stalls soon; but not of 4 KiB.
# When all in it has been read at last, TCP may open the window to a bit less
# than the server's kernel thinks worth a segment, and so again each time: it
# goes by the persist timer only (RFC 9293, 3.8.6), five times a second, which
# is 10 KB/s, and 150 KB/s with this one.
STALLED = {"receive_buffer": 65536}
# So many requests for help bring more than that and the server's kernel hold.
HELPS = 800


def flood(speaker, room, listeners=(), patience=PATIENCE):
    """Says much in a room, and hears it there. Returns how many messages."""
    for first in range(0, FLOOD, BATCH):
        lines = [f"{first + n} {LINE}" for n in range(BATCH)]
        speaker.say(*lines, seconds=patience)
        for member in (speaker, *listeners):
            heard = member.hear_messages(room, BATCH, patience)
            assert heard == [f"{speaker.nick}: {line}" for line in lines]
    return FLOOD


def stall(server, begun=""):
    """Brings the server to hold output for bob, who does not read it, and has
    begun a line. Returns bob."""
    bob = server.person("bob", "den", **STALLED)
    bob.send(begun.encode())
    alice = server.person("alice", "den")
    try:
        flood(alice, "den", patience=PATIENCE / 2)
    except Expired:
        pass  # bob stalls all of the server, not only himself
    return bob
