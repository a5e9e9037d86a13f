"""Options of the stages that speak the binary dialects."""

import pytest

from test_operation import USAGE, expect_refusal

pytestmark = pytest.mark.dialects("frame", "secure")

BAD_OPTIONS = [
    ("--key-file",),
    ("--max-frame", "25"),
    ("--max-frame", "65536"),
    ("--max-frame", "64KiB"),
    ("--max-frame", "-1"),
    ("--max-message", "-1"),
    ("--max-message", "33MiB"),
    ("--max-message", "1MB"),
    ("--heartbeat", "-1"),
    ("--heartbeat", "nan"),
    ("--heartbeat", "65536"),
    ("--frame-timeout", "inf"),
    ("--frame-timeout", "-0.1"),
    ("--stall-timeout", "soon"),
    ("--slow-consumer",),
    ("--slow-consumer", "drop"),
    ("--slow-consumer", ""),
    ("--send-timeout", "10"),
    ("--listen", "frame://127.0.0.1"),
    ("--listen", "secure+unix://"),
    ("--listen", "sealed://127.0.0.1:0"),
    ("--listen", "Frame://127.0.0.1:0"),
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=" ".join)
def test_bad_option(run, options):
    """Bad values, and options of other stages: 64."""
    expect_refusal(run(*options), USAGE, options[0])


GOOD_OPTIONS = [
    ("--max-frame", "26"),
    ("--max-frame", "65535"),
    ("--max-message", "1"),
    ("--max-message", "32MiB"),
    ("--heartbeat", "0"),
    ("--heartbeat", "2.5"),
    ("--heartbeat", "65535"),
    ("--frame-timeout", "0", "--stall-timeout", "0.5"),
    ("--slow-consumer", "lag"),
    ("--slow-consumer", "disconnect"),
    ("--require-encryption",),
    ("--listen", "frame://[::1]:0"),
    ("--listen", "secure+unix:///tmp/never-made"),
]


@pytest.mark.parametrize("options", GOOD_OPTIONS, ids=" ".join)
def test_check(run, key_file, options):
    """`--check`: "read and check everything, Unix paths included, say what is
    wrong, start nothing"; the default listeners are among it."""
    done = run("--check", "--key-file", key_file, *options)
    assert done.returncode == 0, done


def test_help(run):
    """`--help` knows the options of this stage."""
    done = run("--help")
    for option in (
        "key-file", "max-frame", "max-message", "frame-timeout", "heartbeat",
        "stall-timeout", "slow-consumer", "require-encryption",
    ):
        assert f"--{option}" in done.stdout


WORKER_OPTIONS = ("workers", "pin", "io")


@pytest.mark.stages(2, 3, 4)
@pytest.mark.parametrize("name", WORKER_OPTIONS)
def test_option_of_stage_5(run, name):
    """What only several workers have: 64 in the others."""
    expect_refusal(run(f"--{name}"), USAGE, f"--{name}")
    assert f"--{name} " not in run("--help").stdout


BAD_WORKER_OPTIONS = [
    ("--workers",),
    ("--workers", "0"),
    ("--workers", "65"),
    ("--workers", "-1"),
    ("--workers", "2.5"),
    ("--pin=1",),
    ("--io", "aio"),
    ("--io", ""),
]


@pytest.mark.stages(5)
@pytest.mark.parametrize("options", BAD_WORKER_OPTIONS, ids=" ".join)
def test_bad_worker_option(run, options):
    """`--workers`: 1 to 64; `--io`: `uring`, `epoll` or `auto`."""
    expect_refusal(run(*options), USAGE, options[0].partition("=")[0])


GOOD_WORKER_OPTIONS = [
    ("--workers", "1"),
    ("--workers", "64", "--pin"),
    ("--io", "auto"),
    ("--io", "uring"),
    ("--io", "epoll"),
]


@pytest.mark.stages(5)
@pytest.mark.parametrize("options", GOOD_WORKER_OPTIONS, ids=" ".join)
def test_check_worker_option(run, key_file, options):
    """They are checked, and nothing is started."""
    done = run("--check", "--key-file", key_file, *options)
    assert done.returncode == 0, done


@pytest.mark.stages(5)
def test_help_of_workers(run):
    """`--help` knows them."""
    done = run("--help")
    assert all(f"--{name} " in done.stdout for name in WORKER_OPTIONS)
