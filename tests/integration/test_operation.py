"""The program to whoever runs it: options, start, signals, limits, log."""

import json
import os
import re
import resource
import signal
import socket
import stat
import time

import pytest

import proc
from capabilities import STALL_OPTION
from client import WELCOME, is_error
from stalling import stall
from timing import SLOW, WAIT, together, until

USAGE, UNAVAILABLE, SYSTEM, CANNOT_CREATE = 64, 69, 71, 73


def expect_refusal(done, status, *names):
    """The rule: "one line on standard error that names the option and the
    cause, and an exit status of sysexits(3)"."""
    assert done.returncode == status, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done
    for name in names:
        assert name in done.stderr


# --- options


BAD_OPTIONS = [
    ("--nonsense",),
    ("--max-line",),
    ("--listen",),
    ("--listen", ""),
    ("--listen", "127.0.0.1:4000"),
    ("--listen", "text://"),
    ("--listen", "text://127.0.0.1"),
    ("--listen", "text://127.0.0.1:"),
    ("--listen", "text://127.0.0.1:65536"),
    ("--listen", "text://127.0.0.1:-1"),
    ("--listen", "text://127.0.0.1:x"),
    ("--listen", "text://[::1:4000"),
    ("--listen", "text+unix://"),
    ("--listen", "smoke://127.0.0.1:4000"),
    ("--max-line", "-1"),
    ("--max-line", "4KB"),
    ("--max-line", "4k"),
    ("--max-line", "many"),
    ("--max-line", ""),
    ("--max-connections", "-1"),
    ("--max-connections", "ten"),
    ("--max-per-address", "-1"),
    ("--idle-timeout", "-1"),
    ("--idle-timeout", "nan"),
    ("--idle-timeout", "inf"),
    ("--idle-timeout", "10s"),
    ("--handshake-timeout", "nan"),
    ("--drain-timeout", "-0.5"),
    ("--presence-limit", "-1"),
    ("--presence-limit", "1x"),
    ("--room-window", "1MB"),
    ("--room-window", "-1MiB"),
    ("--rate", "-1"),
    ("--rate", "nan"),
    ("--log-level", "loud"),
    ("--log-format", "xml"),
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=" ".join)
def test_bad_option(run, options):
    """The rule: "Anything else (a sign, `inf`, trailing letters) is a usage
    error": 64, as is "a bad value"."""
    expect_refusal(run(*options), USAGE, options[0])


def test_operand(run):
    """There are options only."""
    expect_refusal(run("4000"), USAGE, "4000")


def test_absent_dialect(run, absent_dialect):
    """The rule: "a dialect the stage has not": 64."""
    url = f"{absent_dialect}://127.0.0.1:0"
    expect_refusal(run("--listen", url), USAGE, "--listen")


@pytest.mark.stages(1)
@pytest.mark.parametrize(
    "options",
    [
        ("--key-file", "key"),
        ("--max-frame", "16384"),
        ("--max-message", "1MiB"),
        ("--frame-timeout", "30"),
        ("--heartbeat", "5"),
        ("--stall-timeout", "60"),
        ("--slow-consumer", "lag"),
        ("--require-encryption",),
        ("--workers", "2"),
        ("--pin",),
        ("--config", "file"),
    ],
    ids=" ".join,
)
def test_option_of_a_later_stage(run, options):
    """A stage has the options "as far as it has what they are about"; another
    is "an unknown option"."""
    expect_refusal(run(*options), USAGE, options[0])


GOOD_OPTIONS = [
    (),
    ("--listen", "text://127.0.0.1:0", "--listen", "text://[::1]:0"),
    ("--listen", "text+unix:///tmp/never-made"),
    ("--max-line", "4KiB"),
    ("--max-line", "100"),
    ("--room-window", "2MiB"),
    ("--max-connections", "10", "--max-per-address", "0"),
    ("--idle-timeout", "0.25", "--handshake-timeout", "0"),
    ("--drain-timeout", "0"),
    ("--rate", "2.5"),
    ("--presence-limit", "64"),
    ("--log-level", "debug", "--log-format", "json"),
    ("--log-level", "info", "--log-format", "logfmt"),
]


@pytest.mark.parametrize("options", GOOD_OPTIONS, ids=" ".join)
def test_check(run, options):
    """`--check`: "start nothing". "Sizes are digits with an optional `KiB` or
    `MiB`; times are seconds, with a fraction if you like"."""
    done = run("--check", "--listen", "text://127.0.0.1:0", *options)
    assert done.returncode == 0, done
    assert "event=listening" not in done.stderr
    assert not os.path.exists("/tmp/never-made")


def test_check_finds_what_is_wrong(run):
    """`--check`: "read and check everything, Unix paths included, say what is
    wrong"."""
    expect_refusal(run("--check", "--max-line", "nan"), USAGE, "--max-line")
    expect_refusal(run("--max-line", "nan", "--check"), USAGE, "--max-line")
    path = "text+unix:///no/such/folder"
    expect_refusal(run("--check", "--listen", path), CANNOT_CREATE, "--listen")


def test_check_of_an_address_in_use(server, run):
    """`--check` "binds and touches nothing", so not the address either."""
    assert run("--check", "--listen", server.urls[0]).returncode == 0
    assert server.connect().ask("/echo on") == "on"


def test_help(run):
    """`--help`: "to standard output and exit 0"; it knows every option."""
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in (
        "listen", "max-line", "max-connections", "max-per-address",
        "handshake-timeout", "idle-timeout", "presence-limit", "room-window",
        "rate", "drain-timeout", "log-level", "log-format", "check", "help",
        "version",
    ):
        assert f"--{option}" in done.stdout


def test_version(run):
    """`--version`: "to standard output and exit 0"."""
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


# --- start


# The events of a start with one listener.
STARTING = ["listening", "ready"]


def test_start_lines(server, family):
    """The rule: "First `event=listening url=text://127.0.0.1:4000` for each
    listener, with the real port, then `event=ready`"."""
    names = [event["event"] for event in server.events]
    assert names[:2] == STARTING
    form = {
        "tcp4": r"text://127\.0\.0\.1:[1-9]\d*",
        "tcp6": r"text://\[::1\]:[1-9]\d*",
        "unix": r"text\+unix:///.*/socket",
    }[family]
    assert re.fullmatch(form, server.urls[0])
    assert server.connect().ask("/echo here") == "here"


def test_several_listeners(launch, folder):
    """`--listen`: "Repeatable, up to 16"; all "speak of the same rooms"."""
    server = launch(
        "--listen", "text://127.0.0.1:0",
        "--listen", "text://[::1]:0",
        "--listen", f"text+unix://{folder}/socket",
    )
    heads = ("text://127.0.0.1:", "text://[::1]:", "text+unix://")
    assert len(server.urls) == 3
    assert all(map(str.startswith, server.urls, heads))
    people = [server.connect(url) for url in server.urls]
    people[0].say("hello")
    for person in people:
        assert person.hear_messages("lobby", 1) == [f"{people[0].nick}: hello"]


def test_address_in_use(server, run):
    """The rule: "an address that is not this machine's or is taken, a Unix
    socket in use": 69. Who has it keeps it."""
    done = run("--listen", server.urls[0])
    expect_refusal(done, UNAVAILABLE, "--listen")
    assert server.connect().ask("/echo on") == "on"


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1",
        "[2001:db8::1]",
        "[fe80::1]",
        "[fe80::1%2147483647]",
        "[ff02::1]",
        "[::ffff:192.0.2.1]",
    ],
)
def test_address_of_another_machine(run, host):
    """The rule: "an address that is not this machine's": 69."""
    done = run("--listen", f"text://{host}:0")
    expect_refusal(done, UNAVAILABLE, "--listen")


@pytest.mark.families("tcp4", "tcp6")
def test_failed_start_removes_what_it_made(server, run, folder):
    """The rule: "a start that fails removes what it had made"."""
    done = run(
        "--listen", f"text+unix://{folder}/made", "--listen", server.urls[0]
    )
    assert done.returncode == UNAVAILABLE
    assert not (folder / "made").exists()


@pytest.mark.families("tcp4", "tcp6")
def test_restart_at_once(server, launch):
    """A port whose old connections the kernel still remembers is free."""
    url = server.urls[0]
    alice = server.connect()
    server.signal(signal.SIGTERM)
    alice.read_to_end()
    alice.close()
    assert server.wait_exit() == 0
    launch("--listen", url).connect()


# --- Unix sockets


@pytest.fixture
def path(folder):
    """Where the servers of the family `unix` have their socket."""
    return folder / "socket"


@pytest.mark.families("unix")
@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_unix_mode(start, path, umask):
    """The rule: "Unix sockets have mode 0660 from their first moment",
    whatever the umask."""
    start(umask=umask)
    status = path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o660


@pytest.mark.families("unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_unix_socket_is_removed(server, path, number):
    """The rule: "close, remove Unix sockets, exit 0"."""
    server.signal(number)
    assert server.wait_exit() == 0
    assert not path.exists()


@pytest.mark.families("unix")
def test_unix_stale(start, path):
    """The rule: "A stale one is replaced"."""
    killed = start()
    killed.signal(signal.SIGKILL)
    assert killed.wait_exit() == -signal.SIGKILL
    assert path.exists()
    assert start().connect().ask("/echo new") == "new"


@pytest.mark.families("unix")
def test_unix_socket_of_a_successor(start, path):
    """A server removes its own socket, not that of one that came after."""
    first = start()
    path.unlink()
    second = start()
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    assert second.connect().ask("/echo on") == "on"


def make_file(path):
    path.write_text("precious")


def make_folder(path):
    path.mkdir()


def make_symlink_to_nothing(path):
    path.symlink_to(path.with_name("nothing"))


def make_symlink_to_stale_socket(path):
    target = path.with_name("stale")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(target))
    path.symlink_to(target)


@pytest.mark.families("unix")
@pytest.mark.parametrize(
    "make",
    [
        make_file,
        make_folder,
        make_symlink_to_nothing,
        make_symlink_to_stale_socket,
    ],
)
def test_unix_path_of_another_kind(run, url, path, make):
    """A Unix path "that holds anything but a socket": 73, and what it holds
    "(a file, a symlink) is left alone"."""
    make(path)
    before = path.lstat()
    expect_refusal(run("--listen", url), CANNOT_CREATE, "--listen")
    after = path.lstat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)


@pytest.mark.families("unix")
def test_unix_folder_missing(run, url):
    """The rule: "a Unix path whose folder is missing": 73."""
    done = run("--listen", url.replace("/socket", "/missing/socket"))
    expect_refusal(done, CANNOT_CREATE, "--listen")


def path_of_length(folder, length):
    return f"{folder}/".ljust(length, "x")


def test_unix_path_too_long(run, folder):
    """The rule: "a Unix path that is too long": 64; unix(7) has room for 107
    bytes."""
    done = run("--listen", "text+unix://" + path_of_length(folder, 108))
    expect_refusal(done, USAGE, "--listen")


def test_unix_path_as_long_as_may_be(launch, folder):
    """One byte less is not too long."""
    longest = path_of_length(folder, 107)
    server = launch("--listen", "text+unix://" + longest)
    assert server.connect().ask("/echo here") == "here"


# --- signals


def test_drain(server):
    """The rule: "tell every session `shutdown`, send what is queued", exit 0;
    "everything queued is sent first", "nobody is told `left`"."""
    alice, bob = server.person("alice", "den"), server.person("bob", "den")
    stranger = server.connect()
    lines = [f"{n} {'x' * 100}" for n in range(100)]
    alice.say(*lines)
    alice.hear_messages("den", len(lines))
    server.signal(signal.SIGTERM)
    for client in (alice, bob, stranger):
        transcript = client.read_to_end()
        assert is_error(transcript[-1], "shutdown")
        assert not any(line.endswith(" left") for line in transcript)
        client.close()
    heard = [line for line in bob.transcript if line.startswith("[den] alice")]
    assert heard == [f"[den] alice: {line}" for line in lines]
    assert server.wait_exit() == 0
    names = [event.get("event") for event in server.events]
    assert names.index("draining") < names.index("stopped")


def test_drain_of_those_who_talk(server):
    """What has been parsed is sent to all members; "what it has not parsed
    yet is discarded"."""
    names = ("ann", "bea", "cleo", "dora")
    *senders, listener = [server.person(name, "den") for name in names]

    def talk(sender):
        sender.say(*[f"message {n}" for n in range(3000)])
        return heard_in_the_end(sender)

    def listen_and_stop():
        listener.hear_messages("den", 100)
        server.signal(signal.SIGTERM)
        return heard_in_the_end(listener)

    def heard_in_the_end(member):
        *lines, last = member.read_to_end()
        assert is_error(last, "shutdown")
        member.close()
        return [line for line in lines if re.match(r"\[den\] \w+: ", line)]

    heard, *orders = together(
        listen_and_stop, *[lambda who=who: talk(who) for who in senders]
    )
    assert all(order == heard for order in orders)
    assert server.wait_exit() == 0


def test_drain_without_clients(server):
    """There is nothing to wait for, so it does not wait."""
    begin = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    assert time.monotonic() - begin < 3 * SLOW


def test_drain_whoever_stalls(start, stage):
    """`--drain-timeout`: "This holds whoever stalls"; all others are told
    `shutdown`."""
    server = start(
        "--drain-timeout", "1", STALL_OPTION[stage], str(100 * WAIT)
    )
    cleo = server.person("cleo")
    stall(server)
    begin = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    # The last second of a closing session, and some time to do it all.
    assert time.monotonic() - begin < 1 + 1 + 3 * SLOW
    assert is_error(cleo.read_to_end()[-1], "shutdown")


@pytest.mark.families("tcp4", "unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal(start, stage, folder, number):
    """The rule: "A second signal stops at once (Unix sockets removed too),
    exit 1"."""
    forever = str(100 * WAIT)
    server = start("--drain-timeout", forever, STALL_OPTION[stage], forever)
    stall(server)
    server.signal(signal.SIGTERM)
    server.wait_event("draining")
    server.signal(number)
    assert server.wait_exit() == 1
    assert list(folder.iterdir()) == []


def test_sigusr1(server):
    """The rule: "SIGUSR1 logs the metrics (`event=metrics`)", as often as
    asked."""
    alice = server.connect()
    server.signal(signal.SIGUSR1)
    server.wait_event("metrics", clients_active="1")
    bob = server.connect()
    server.signal(signal.SIGUSR1)
    server.wait_event("metrics", clients_active="2")
    alice.say("hello")
    assert bob.hear_messages("lobby", 1) == [f"{alice.nick}: hello"]


def test_sigpipe(server):
    """The rule: "SIGPIPE is never fatal"."""
    alice = server.connect()
    server.signal(signal.SIGPIPE)
    assert alice.ask("/echo on") == "on"


# --- resources


def count_welcomed(clients):
    """How many of these were let in; all others were told `server-full`."""
    welcomed = 0
    for client in clients:
        line = client.reply()
        if WELCOME.fullmatch(line):
            welcomed += 1
        else:
            assert is_error(line, "server-full"), line
            client.expect_end()
            client.close()
    return welcomed


def test_out_of_descriptors(start):
    """The rule: "`server-full` by a spare descriptor, no spinning; accepting
    goes on when one is free"."""
    server = start(
        "--max-connections", "1000", wrapper=["prlimit", "--nofile=64:64"]
    )
    cpu, begin = proc.cpu_seconds(server.pid), time.monotonic()
    clients = [server.open() for _ in range(100)]
    assert 20 < count_welcomed(clients) < 64
    time.sleep(0.5)
    busy = proc.cpu_seconds(server.pid) - cpu
    assert busy < 0.5 * (time.monotonic() - begin)
    for client in clients:
        client.close()
    server.wait_for_room()


@pytest.mark.stages(1, 2)
@pytest.mark.unsanitized
def test_out_of_threads(start):
    """A thread that cannot be started is a client that is refused: over what
    there is room for comes `server-full`, and room again after it."""
    server = start("--max-connections", "10000")
    limit = proc.address_space_bytes(server.pid) + (32 << 20)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, limit))
    clients = []
    while not clients or count_welcomed(clients[-1:]) == 1:
        clients.append(server.open())
        assert len(clients) < 10000
    assert clients[0].ask("/echo undisturbed") == "undisturbed"
    for client in clients:
        client.close()
    server.wait_for_room()


def test_default_of_max_connections(start):
    """`--max-connections`: "what RLIMIT_NOFILE, raised to its hard limit,
    allows": all that are welcomed can be served."""
    server = start(wrapper=["prlimit", "--nofile=20:64"])
    clients = [server.open() for _ in range(80)]
    assert 20 < count_welcomed(clients) < 64


# --- log


def test_log_of_a_session(server, family):
    """The events `connected`, with its `peer`, and `disconnected`, with
    "`bytes_in`, `bytes_out`, `messages`, `seconds`"."""
    alice = server.connect()
    alice.say("one", "two", "/quit")
    alice.read_to_end()
    address = alice.socket.getsockname()
    alice.close()
    gone = server.wait_event("disconnected")
    come = server.wait_event("connected", session=gone["session"])
    if family != "unix":
        host, port = address[:2]
        host = f"[{host}]" if family == "tcp6" else host
        assert come["peer"] == f"{host}:{port}"
    assert gone["reason"]
    assert int(gone["bytes_in"]) == len("one\ntwo\n/quit\n")
    assert int(gone["bytes_out"]) == alice.bytes_in
    assert int(gone["messages"]) == 2
    assert 0 <= float(gone["seconds"]) < 60 * SLOW


def test_log_of_a_refusal(start):
    """Who is told `server-full` is an event `refused` in the log."""
    server = start("--max-connections", "1")
    server.connect()
    server.open().expect_error("server-full")
    server.wait_event("refused")


def test_log_line_form(server):
    """The rule: "One line an event": time, level and event first."""
    server.connect().close()
    server.wait_event("disconnected")
    field = rb' \w+=("([^"\\]|\\.)*"|[^ "]*)'
    form = rb"time=\S+ level=\w+ event=\w+(" + field + rb")*\n"
    for line in server.log:
        assert re.fullmatch(form, line), line


def closing(*descriptors):
    """A wrapper that starts the program with these descriptors closed."""
    closed = " ".join(f"{fd}>&-" for fd in descriptors)
    return ["sh", "-c", f'exec "$0" "$@" {closed}']


@pytest.mark.families("unix")
@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_closed_standard_descriptors(start, url, closed):
    """The rule: "Of the descriptors 0, 1 and 2, those that are closed at the
    start are opened on `/dev/null`, so that no connection gets one of these
    numbers, and the log with it"."""
    server = start(wrapper=closing(*closed), logs=False)

    def reached():
        try:
            return server.open(url)
        except OSError:
            return None

    alice = until(reached, "the server listens")
    alice.expect_welcome()
    for fd in closed:
        assert os.readlink(f"/proc/{server.pid}/fd/{fd}") == "/dev/null"
    bob = server.person("bob", "den", url=url)
    cleo = server.person("cleo", "den", url=url)
    bob.say("/quit")
    bob.read_to_end()
    server.signal(signal.SIGTERM)
    for client in (alice, bob, cleo):
        transcript = client.read_to_end()
        assert WELCOME.fullmatch(transcript[0])
        assert not any("event=" in line for line in transcript)
        client.close()
    assert server.wait_exit() == 0


@pytest.mark.unsanitized
def test_closed_standard_descriptors_that_stay_so(run):
    """What the system refuses at the start: 71. With one descriptor allowed,
    the first that is closed is opened and the second is not. (A sanitizer
    wants more of them, and tries for ever.)"""
    wrapper = [*closing("0", "1"), "prlimit", "--nofile=1:1"]
    done = run("--listen", "text://127.0.0.1:0", wrapper=wrapper)
    expect_refusal(done, SYSTEM, "cannot start")


def test_log_in_json(start):
    """`--log-format json`: every line is one object of JSON."""
    server = start("--log-format", "json")
    alice = server.person("alice", "den")
    alice.close()
    server.wait_event("disconnected")
    server.signal(signal.SIGUSR1)
    server.wait_event("metrics")
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    events = [json.loads(line) for line in server.log]
    assert all({"time", "level", "event"} <= event.keys() for event in events)
    names = [event["event"] for event in events]
    assert names[:2] == STARTING
    assert {"connected", "disconnected", "draining"} <= set(names)
    assert names[-1] == "stopped"


HOSTILE = [
    b"\n/nick \x1b]0;title\x07\n",
    b"\n/join \xc2\x9b31m\n",
    b'\n/nick a"\\"b\n',
    b'/join x"\\nlevel=error event=forged\n',
    b"/msg event=forged hello\n",
    b"/event=forged level=error\r event=forged\n",
    b"GET /\x1b[2J event=forged HTTP/1.1\r\n",
    b"GET /event=forged HTTP/1.1\r\n",
    b"\x16\x03\x01 event=forged\n",
    b"\xff\xfe\x00e\n",
    b"\n\xff event=forged\n",
    b"x" * 5000 + b" event=forged\n",
]


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_log_escapes_what_clients_send(start, log_format):
    """The rule: "What a client sent is escaped in it": no client writes a line
    of the log, nor to the terminal of who reads it."""
    server = start("--log-level", "debug", "--log-format", log_format)
    for sent in HOSTILE:
        client = server.connect()
        client.send(sent)
        client.half_close()
        client.read_to_end()
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    for line, event in zip(server.log, server.events):
        text = line.decode("utf-8").removesuffix("\n")
        assert text.replace("\t", "?").isprintable(), line
        assert event["event"] != "forged"


def test_log_level(server):
    """`--log-level info` is the default: nothing below it is logged."""
    server.person("alice", "den").close()
    server.wait_event("disconnected")
    assert not any(event["level"] == "debug" for event in server.events)
