"""Much at once, in either direction: nothing of it is lost, and nobody has to
wait for those whose it is."""

import signal
import statistics
import time

import pytest

import proc
from capabilities import STALL_OPTION
from crowd import metric
from flooding import TALK, flooding, talk_before_being_let_in
from stalling import HELPS, LINE, STALLED
from timing import PATIENCE, SLOW, WAIT, together, until

# What one does who has asked for so much: whether the server gets time to stop
# reading before a line, a line, and so on, and before the end.
COURSES = [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (1, 1, 0), (1, 0, 1)]


@pytest.mark.families("tcp4", "unix")
def test_end_while_much_is_due(start, stage):
    """The rule: "After a half-close (`nc -N`, a shell pipe) the server answers
    what it has read, sends what is queued, then closes", however much that is;
    and whether the end comes while the server is reading or while it is
    not."""
    server = start(STALL_OPTION[stage], str(100 * WAIT))
    help_lines = server.connect().ask_list("/help\n/echo over", "over")
    for *lines, end in COURSES:
        alice = server.connect(**STALLED)
        alice.say(*HELPS * ["/help"])
        for pause in lines:
            time.sleep(pause * PATIENCE / 100)
            alice.say("/echo here", "hello")
        time.sleep(end * PATIENCE / 100)
        alice.half_close()
        time.sleep(PATIENCE / 100)
        alice.read_to_end()
        echoes = len(lines) * ["here"]
        assert alice.unanswered() == [*HELPS * help_lines, *echoes]
        heard = len(lines) * [f"{alice.nick}: hello"]
        assert alice.unheard("lobby") == heard


@pytest.mark.stages(2, 3, 4)
@pytest.mark.families("tcp4", "unix")
def test_end_of_one_who_takes_nothing(start, stage):
    """Who has sent its last, and takes no more, costs nothing until it does, or
    until its time is over."""
    server = start(STALL_OPTION[stage], str(100 * WAIT))
    alice = server.connect(**STALLED)
    alice.say(*HELPS * ["/help"])
    alice.half_close()
    time.sleep(PATIENCE / 10)
    assert proc.busy_share(server.pid, 0.5) < 0.2
    alice.read_to_end()


ENDS = 30
EMPTY_LINES = 2000


@pytest.mark.families("tcp4", "unix")
def test_end_right_behind_the_last_bytes(server):
    """However much has come before the end of a stream, the end is heard."""
    clients = [server.connect() for _ in range(ENDS)]
    server.signal(signal.SIGSTOP)
    for client in clients:
        client.say(*EMPTY_LINES * [""])
        client.half_close()
    server.signal(signal.SIGCONT)
    for client in clients:
        client.read_to_end()


FLOODERS = 4
ASKED = 50
# So many lines meanwhile, at least.
FLOOD = 1000


@pytest.mark.families("tcp4", "unix")
@pytest.mark.unfaulted
def test_flooders_starve_nobody(start, measured, stage):
    """Who talks as fast as it can, with others that do, delays the others by
    no more than a turn takes."""
    server = start("--presence-limit", "0")
    alice = server.person("alice", "den")
    alice.ask("/leave lobby")
    times = []
    with flooding(server.urls[0], [f"flood-{n}" for n in range(FLOODERS)]):
        until(
            lambda: len(alice.ask_list("/rooms\n/echo end", "end"))
            == FLOODERS + 2,
            "the flood has begun",
        )
        said = metric(alice, "messages_total")
        time.sleep(PATIENCE / 10)
        for number in range(ASKED):
            begin = time.monotonic()
            assert alice.ask(f"/echo {number}") == str(number)
            times.append(time.monotonic() - begin)
        said = metric(alice, "messages_total") - said
    measured(
        f"stage {stage}: beside {FLOODERS} flooders ({said:,} lines) an answer "
        f"takes {statistics.median(times) * 1000:.1f} ms, "
        f"at most {max(times) * 1000:.1f} ms"
    )
    assert said > FLOOD
    assert statistics.median(times) < 0.1 * SLOW
    assert max(times) < SLOW


MANY_FLOODERS = 12
LINES_OF_EACH = 300


@pytest.mark.stages(2, 3, 4)
def test_flooders_are_all_heard(start):
    """However many talk as fast as they can, each has its turn, again and
    again; also where there are fewer buffers (4, in the build with faults).
    Stage 1 waits for those who have not been heard yet."""
    server = start("--presence-limit", "0", "--room-window", "8MiB")
    rooms = [f"flood-{n}" for n in range(MANY_FLOODERS)]
    hearers = [server.person(f"hearer-{n}", room) for n, room in enumerate(rooms)]
    with flooding(server.urls[0], rooms, line="x"):
        for hearer, room in zip(hearers, rooms):
            hearer.hear_messages(room, LINES_OF_EACH)


@pytest.mark.families("tcp4", "unix")
@pytest.mark.unfaulted
def test_more_at_once_than_there_are_buffers(start):
    """All that is heard, whole and in order, by who is meant to."""
    server = start("--presence-limit", "0")
    talkers = talk_before_being_let_in(server)
    for number, talker in enumerate(talkers):
        room = f"room-{number}"
        talker.expect_welcome()
        talker.expect(f"* joined {room} (1 members)", "done")
        heard = talker.hear_messages(room, len(TALK))
        assert heard == [f"{talker.nick}: {line}" for line in TALK]


@pytest.mark.families("tcp4", "unix")
def test_paused_and_resumed(start):
    """`--rate`: "delay, never loss": also of what has come already when the
    server stops reading, and of what is more than the kernel holds."""
    server = start("--rate", "500", "--room-window", "8MiB")
    alice, bob = server.person("alice", "den"), server.person("bob", "den")
    lines = [f"{n} {LINE}" for n in range(1100)]
    _, heard, told = together(
        lambda: alice.say(*lines),
        lambda: alice.hear_messages("den", len(lines)),
        lambda: bob.hear_messages("den", len(lines)),
    )
    assert heard == told == [f"alice: {line}" for line in lines]
