"""The key of the secure listeners, and how a start without a good one
fails."""

import pytest

from test_operation import expect_refusal

pytestmark = pytest.mark.dialects("secure")

NO_INPUT, PERMISSION, CONFIG = 66, 77, 78
LISTEN = ("--listen", "secure://127.0.0.1:0")


@pytest.fixture
def refuse(run, folder):
    """That a start with a key file is refused, by --check as well."""

    def refuse_key(status, key=None, mode=0o600):
        path = folder / "key"
        if key is not None:
            path.touch()
            path.chmod(mode)
            path.write_bytes(key)
        for more in (), ("--check",):
            done = run(*LISTEN, "--key-file", path, *more)
            expect_refusal(done, status, "--key-file")
            assert "event=listening" not in done.stderr

    return refuse_key


def test_no_key(run):
    """The rule: "a `secure` listener without `--key-file`": 78."""
    for more in (), ("--check",):
        expect_refusal(run(*LISTEN, *more), CONFIG, "--key-file")


def test_no_key_for_the_defaults(run):
    """The rule: "so from stage 2 on a start with the default listeners needs
    `--key-file`"."""
    expect_refusal(run(), CONFIG, "--key-file")


@pytest.mark.parametrize("length", [0, 1, 31, 4097])
def test_key_of_a_bad_length(refuse, length):
    """The rule: "a key of fewer than 32 bytes, or more than 4096": 78."""
    refuse(CONFIG, b"k" * length)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o610])
def test_key_that_others_can_read(refuse, mode):
    """The file's "mode is 0600 or stricter", or else: 77."""
    refuse(PERMISSION, b"k" * 32, mode)


def test_key_that_is_missing(refuse):
    """The rule: "a key file that is missing, or no file": 66."""
    refuse(NO_INPUT)


def test_key_that_is_no_file(run, folder):
    """A folder is none."""
    done = run(*LISTEN, "--key-file", folder)
    expect_refusal(done, NO_INPUT, "--key-file")


@pytest.mark.parametrize("length", [32, 33, 4096])
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_good_key(launch, folder, length, mode):
    """The key is "the file's bytes as they are", a line feed at its end
    included."""
    path = folder / "key"
    key = b"\x00k" * (length // 2) + b"\n" * (length % 2)
    path.write_bytes(key)
    path.chmod(mode)
    server = launch(*LISTEN, "--key-file", path)
    assert server.connect(key=key).ask("echo on") == "on"


def test_text_needs_no_key(launch):
    """Nor does `frame`."""
    server = launch("--listen", "frame://127.0.0.1:0")
    assert server.connect().ask("echo on") == "on"
