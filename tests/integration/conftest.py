"""Options, and the fixtures from which every test gets its server.

Tests are parametrised by stage and address family: `-k unix` takes those over
Unix sockets, `--stage 1` those of a stage.
"""

import os
import random
import resource
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from capabilities import ALL_DIALECTS, CAPABILITIES, DIALECTS, STAGES
from driven import Driven
from ringchat import Ringchat
from secure_client import KEY
from server import CLIENTS, Server, own_options
from timing import SLOW, WAIT

REPOSITORY = Path(__file__).resolve().parents[2]
FAMILIES = ("tcp4", "tcp6", "unix")
TEST_SECONDS = 60 * SLOW


def pytest_addoption(parser):
    group = parser.getgroup("ringchat")
    group.addoption(
        "--build-dir",
        default="build",
        help="folder with the programs, relative to the repository",
    )
    group.addoption(
        "--stage",
        type=int,
        action="append",
        choices=list(STAGES),
        help="test this stage only; repeatable",
    )


def selected_stages(config):
    return config.getoption("--stage") or list(STAGES)


def program_path(config, stage):
    return REPOSITORY / config.getoption("--build-dir") / STAGES[stage]


def built(config, name):
    """What the build has beside the servers: `lib/drive`, `examples/echo`."""
    return REPOSITORY / config.getoption("--build-dir") / name


def pytest_configure():
    """What runs in the background or under nohup(1) ignores signals, and so
    would all whom we start; a handler of ours is not theirs (execve(2))."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_sessionstart(session):
    for stage in selected_stages(session.config):
        program = program_path(session.config, stage)
        if not program.exists():
            raise pytest.UsageError(f"{program} is missing: run make first")
    # A thousand clients are a thousand descriptors of this process.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- which tests there are


def mark_arguments(metafunc, name, default):
    mark = metafunc.definition.get_closest_marker(name)
    return mark.args if mark else default


def pytest_generate_tests(metafunc):
    stages = [
        stage
        for stage in selected_stages(metafunc.config)
        if stage in mark_arguments(metafunc, "stages", STAGES)
        and set(mark_arguments(metafunc, "dialects", ())).issubset(
            DIALECTS[stage]
        )
    ]
    if "absent_dialect" in metafunc.fixturenames:
        pairs = [
            pytest.param(stage, dialect, id=f"stage{stage}-{dialect}")
            for stage in stages
            for dialect in ALL_DIALECTS
            if dialect not in DIALECTS[stage]
        ]
        metafunc.parametrize("stage, absent_dialect", pairs)
    elif "spoken" in metafunc.fixturenames:
        pairs = [
            pytest.param(stage, dialect, id=f"stage{stage}-{dialect}")
            for stage in stages
            for dialect in spoken_dialects(stage)
            if dialect in mark_arguments(metafunc, "spoken", CLIENTS)
        ]
        metafunc.parametrize("stage, spoken", pairs)
    elif "stage" in metafunc.fixturenames:
        ids = [f"stage{stage}" for stage in stages]
        metafunc.parametrize("stage", stages, ids=ids)
    if "family" in metafunc.fixturenames:
        families = mark_arguments(metafunc, "families", FAMILIES)
        metafunc.parametrize("family", families)


def spoken_dialects(stage):
    """What a client may speak: `sealed` is a way to speak `secure`."""
    sealed = ("sealed",) if "secure" in DIALECTS[stage] else ()
    return DIALECTS[stage] + sealed


def is_sanitized(program):
    code = program.read_bytes()
    return b"__asan_init" in code or b"__tsan_init" in code


def has_faults(program):
    """Whether it is a build with tests/faults."""
    return b"RINGCHAT_FAULTS" in program.read_bytes()


def can_be_asked(config, item):
    """Whether a case is one of a stage, if of any, and one of this build."""
    stage = selected_stages(config)[0]  # all are of one build
    if "stage" in item.fixturenames:
        stage = item.callspec.params["stage"]
    if stage not in STAGES:
        return False  # of none that was selected: pytest's empty case
    program = program_path(config, stage)
    wrong_for = {
        "unsanitized": is_sanitized,
        "unfaulted": has_faults,
        "faults": lambda program: not has_faults(program),
    }
    return not any(
        item.get_closest_marker(mark) and is_wrong(program)
        for mark, is_wrong in wrong_for.items()
    )


def pytest_collection_modifyitems(config, items):
    gone = [item for item in items if not can_be_asked(config, item)]
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=gone)
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))
        for mark in item.iter_markers("capability"):
            stage = item.callspec.params["stage"]
            if not CAPABILITIES[mark.args[0]][stage]:
                item.add_marker(must_fail(stage, mark.args[0]))


def must_fail(stage, capability):
    return pytest.mark.xfail(
        raises=AssertionError,
        strict=True,
        reason=f"{STAGES[stage]} now passes {capability}: "
        "update capabilities.py",
    )


# --- what they measure


@pytest.fixture
def measured(record_property):
    """Takes a sentence that is shown at the end of the run, whether or not
    the test passes."""
    return lambda sentence: record_property("measured", sentence)


def pytest_terminal_summary(terminalreporter):
    for outcome in ("passed", "failed", "xfailed"):
        for report in terminalreporter.getreports(outcome):
            for name, sentence in report.user_properties:
                if name == "measured" and report.when == "call":
                    terminalreporter.write_line(sentence)


# --- what they are given


@pytest.fixture
def folder():
    """An empty folder with a path short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="ringchat-") as path:
        yield Path(path)


@pytest.fixture
def program(stage, pytestconfig):
    return program_path(pytestconfig, stage)


@pytest.fixture
def sanitized(program):
    """Whether the program is a sanitizer build, whose memory is not its own."""
    return is_sanitized(program)


@pytest.fixture
def run(program):
    """Runs the program to its end; for starts that are to fail."""

    def run_program(*options, wrapper=()):
        return subprocess.run(
            [*wrapper, program, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT,
        )

    return run_program


def url_at(scheme, family, folder):
    """What to listen on: a free port or a path of the test's own."""
    return {
        "tcp4": f"{scheme}://127.0.0.1:0",
        "tcp6": f"{scheme}://[::1]:0",
        "unix": f"{scheme}+unix://{folder}/socket",
    }[family]


@pytest.fixture
def url(family, folder):
    return url_at("text", family, folder)


@pytest.fixture
def faults(program, request):
    """What to ask of tests/faults, where it is built in: each server process
    has a seed of its own, unless SEED is given."""
    mark = request.node.get_closest_marker("faults")
    prefix = f"{mark.args[0]}:" if mark else ""

    def make_faults():
        if not has_faults(program):
            return ""
        return prefix + (os.environ.get("SEED") or str(random.getrandbits(32)))

    return make_faults


@pytest.fixture
def launch(program, faults):
    """Starts the program with just these options; ends it after the test.
    One whose log nobody can read is not waited for."""
    with ExitStack() as servers:

        def launch_server(*options, wrapper=(), umask=-1, logs=True):
            command = [*wrapper, program, *own_options(program), *options]
            server = Server(command, umask, faults())
            servers.callback(server.print_log)
            servers.callback(server.dismiss)
            if logs:
                server.wait_event("ready")
            return server

        yield launch_server


@pytest.fixture
def start(launch, url):
    """Starts a server of the family at hand with further options."""

    def start_server(*options, **how):
        return launch("--listen", url, *options, **how)

    return start_server


@pytest.fixture
def key_file(folder):
    """The key of the secure listeners, which is that of SecureClient."""
    path = folder / "key"
    path.touch(mode=0o600)
    path.write_bytes(KEY)
    return path


@pytest.fixture
def ringchat_program(pytestconfig):
    return REPOSITORY / pytestconfig.getoption("--build-dir") / "ringchat"


@pytest.fixture
def ringchat(ringchat_program):
    """Starts the client with files or pipes; ends it after the test."""
    with ExitStack() as started:

        def start_ringchat(*arguments, **how):
            one = Ringchat(ringchat_program, *arguments, **how)
            started.callback(one.dismiss)
            return one

        yield start_ringchat


@pytest.fixture
def to(key_file):
    """The client's arguments for a server in a dialect: its URL, and what
    that needs."""

    def arguments(server, dialect):
        url = server.url_of(dialect)
        if dialect in ("text", "frame"):
            return [url]
        seal = ["--seal"] if dialect == "sealed" else []
        return [url, "--key-file", key_file, *seal]

    return arguments


@pytest.fixture
def start_all(launch, stage, key_file, folder):
    """Starts a server that listens in each dialect it has, on free ports or
    on Unix sockets, with further options."""

    def start_server(*options, family="tcp4", **how):
        key = "secure" in DIALECTS[stage]
        listeners = ["--key-file", key_file] if key else []
        for dialect in DIALECTS[stage]:
            url = {
                "tcp4": f"{dialect}://127.0.0.1:0",
                "tcp6": f"{dialect}://[::1]:0",
                "unix": f"{dialect}+unix://{folder}/{dialect}",
            }[family]
            listeners += ["--listen", url]
        return launch(*listeners, *options, **how)

    return start_server


@pytest.fixture
def drive(pytestconfig, key_file):
    """Starts a client of libringchat that is told what to do, at a URL and in
    its dialect; it ends with the test."""
    program = built(pytestconfig, "lib/drive")
    with ExitStack() as clients:

        def drive_client(url, *options, dialect="text"):
            if dialect in ("secure", "sealed"):
                options += ("--key-file", key_file)
            if dialect == "sealed":
                options += ("--seal",)
            client = Driven(program, url, *options)
            clients.callback(client.end)
            return client

        yield drive_client


@pytest.fixture
def server(start):
    """A server with nothing but its defaults."""
    return start()
