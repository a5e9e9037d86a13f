"""The examples of clients, as they stand in examples/: built, run, and short
enough to be read at a sitting."""

import re
import signal
import subprocess
import threading

import pytest

from conftest import REPOSITORY, built
from crowd import answer, request
from timing import WAIT, until

TIME = re.compile(r"it is \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


class Example:
    """One of them, running; what it says of itself is read all the time."""

    def __init__(self, program, *arguments):
        self.lines = []
        self.process = subprocess.Popen(
            [program, *arguments], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    def _collect(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def says(self, text, times=1):
        until(
            lambda: sum(text == line for line in self.lines) >= times,
            f"{text!r} in {self.lines}",
        )

    def end(self):
        """Asked to, it ends in order."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(WAIT)
        finally:
            self.process.kill()
            self._collector.join()
            self.process.stderr.close()
        assert status == 0, self.lines


@pytest.fixture
def example(pytestconfig):
    running = []

    def start(name, *arguments):
        program = built(pytestconfig, f"examples/{name}")
        running.append(Example(program, *arguments))
        return running[-1]

    yield start
    for one in running:
        one.end()


@pytest.mark.parametrize("name", ["timebot", "bridge"])
def test_is_short(name):
    source = REPOSITORY / "examples" / f"{name}.c"
    assert len(source.read_text().splitlines()) < 100


@pytest.mark.families("tcp4", "unix")
def test_timebot(start, launch, example):
    """It tells the time to who asks, before and after a restart of the
    server, and not to itself."""
    server = start()
    [url] = server.urls
    bot = example("timebot", url, "den")
    bot.says("open as timebot")
    for times in (1, 2):
        bob = server.person("bob", "den")
        bob.say("what is it?", "!time")
        assert bob.hear_messages("den", 2) == ["bob: what is it?", "bob: !time"]
        said = bob.hear_messages("den", 1)[0]
        assert TIME.fullmatch(said.removeprefix("timebot: ")), said
        if times == 1:
            server.signal(signal.SIGKILL)
            server.wait_exit()
            bob.close()
            server = launch("--listen", url)
            bot.says("open as timebot", times=2)


@pytest.mark.stages(2, 3, 4, 5)
@pytest.mark.families("tcp4", "unix")
@pytest.mark.parametrize("other", ["frame", "secure"])
def test_bridge(start_all, example, key_file, family, other):
    """What is said on one side is said on the other, once and in order."""
    server = start_all(family=family)
    bridge = example(
        "bridge", server.url_of("text"), "den", server.url_of(other), "attic",
        key_file,
    )
    bridge.says("open", times=2)
    ada = server.person("ada", "den", dialect="text")
    bob = server.person("bob", "attic", dialect=other)
    below, above = who_bridges(ada), who_bridges(bob)
    ada.say("one", "two", "three")
    assert bob.hear_messages("attic", 3) == [
        f"{above}: ada: {text}" for text in ("one", "two", "three")
    ]
    ada.hear_messages("den", 3)
    bob.say("four")
    assert ada.hear_messages("den", 1) == [f"{below}: bob: four"]


def who_bridges(client):
    """One of its two sides has the nick, the other is a guest's: on one server
    there is no second of that name."""
    request(client, "who")
    nicks = []
    while (line := answer(client)) != "end of who":
        nicks.append(line)
    [bridge] = [nick for nick in nicks if nick != client.nick]
    return bridge
