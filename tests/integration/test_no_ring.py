"""Where io_uring is forbidden: stage 4 says so and does not start, stage 5 takes
epoll, and the others do not need it."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from timing import SLOW

UNAVAILABLE = 69
SYSTEM = 71

# The same numbers on every processor.
SETUP, ENTER, REGISTER = 425, 426, 427
PARTS = {"setup": SETUP, "enter": ENTER, "register": REGISTER}
ALL = tuple(PARTS.values())

FORBID = Path(__file__).with_name("forbid.py")


def forbidding(error, *numbers):
    """A wrapper under which these system calls fail with this error."""
    return [sys.executable, FORBID, error, ",".join(map(str, numbers))]


@pytest.fixture
def refusal(run, folder, key_file):
    """Starts the program where it cannot; returns what it says: "one line on
    standard error that names the option and the cause, and an exit status of
    sysexits(3); a start that fails removes what it had made"."""

    def refuse(wrapper, status=UNAVAILABLE):
        before = sorted(folder.iterdir())
        begin = time.monotonic()
        done = run(
            "--key-file", key_file, "--listen", f"text+unix://{folder}/text",
            "--listen", f"secure+unix://{folder}/secure", wrapper=wrapper,
        )
        assert time.monotonic() - begin < SLOW
        assert (done.returncode, done.stdout) == (status, ""), done
        assert sorted(folder.iterdir()) == before
        [line] = done.stderr.splitlines()
        assert line.startswith("stage4-uring: ")
        return line

    return refuse


def expect_way_out(line, *names):
    """It says what is lacking, what to do about it, and what does without."""
    for name in ("no io_uring: ", *names, "stage3-epoll"):
        assert name in line


@pytest.mark.stages(4)
@pytest.mark.parametrize("part", PARTS)
def test_forbidden_by_a_filter(refusal, part):
    """EPERM, as from the filters that containers have by default: whichever of
    the three system calls it is."""
    line = refusal(forbidding("EPERM", PARTS[part]))
    expect_way_out(
        line, "seccomp", "allow io_uring_setup, io_uring_enter and "
        "io_uring_register",
    )


@pytest.mark.stages(4)
@pytest.mark.parametrize("part", PARTS)
def test_hidden_by_a_filter(refusal, part):
    """ENOSYS: a filter that makes a kernel look older, or one without."""
    line = refusal(forbidding("ENOSYS", PARTS[part]))
    expect_way_out(line, "the kernel has none", "seccomp", "allow ")


@pytest.mark.stages(4)
@pytest.mark.parametrize("part", ["setup", "register"])
def test_kernel_too_old(refusal, part):
    """EINVAL: the kernel does not know what is asked of it."""
    line = refusal(forbidding("EINVAL", PARTS[part]))
    expect_way_out(line, "too old", "Linux 6.1")


@pytest.mark.stages(4)
@pytest.mark.parametrize("part", PARTS)
def test_no_memory_for_a_ring(refusal, part):
    """ENOMEM is a want of another kind: 71, and no advice to do without."""
    line = refusal(forbidding("ENOMEM", PARTS[part]), SYSTEM)
    assert "cannot start: Cannot allocate memory" in line


@pytest.fixture
def disabling(folder):
    """Makes a wrapper under which kernel.io_uring_disabled is another, for one
    program: to set it would be to set it for the whole machine. The program
    sees a file of ours in its place, and a filter does what the kernel would.
    """
    switch = "/proc/sys/kernel/io_uring_disabled"
    alone = ["unshare", "--mount", "--propagation", "unchanged"]
    mounts = f'mount --make-rprivate /proc && mount --bind "$0" {switch}'

    def make_wrapper(value):
        (folder / "switch").write_text(f"{value}\n")
        mounted = [*alone, "sh", "-c", mounts + ' && exec "$@"']
        wrapper = [*mounted, str(folder / "switch")]
        tried = subprocess.run([*wrapper, "true"], capture_output=True)
        if tried.returncode != 0:
            pytest.skip("only root, and in a machine of its own, may mount")
        return [*wrapper, *forbidding("EPERM", SETUP)]

    return make_wrapper


@pytest.mark.stages(4)
@pytest.mark.parametrize("value", [1, 2])
def test_disabled_by_the_administrator(refusal, disabling, value):
    """kernel.io_uring_disabled: 1 for all but a group and root, 2 for all."""
    line = refusal(disabling(value))
    expect_way_out(line, f"kernel.io_uring_disabled is {value}", "sysctl(8)")
    assert ("kernel.io_uring_group" in line) == (value == 1)


@pytest.mark.stages(4)
def test_who_listens_is_not_disturbed(refusal, launch, folder):
    """A start that fails for this leaves alone what it would have replaced."""
    path = folder / "text"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    refusal(forbidding("EPERM", SETUP))
    path.unlink()
    other = launch("--listen", f"text+unix://{path}")
    refusal(forbidding("EPERM", SETUP))
    assert other.connect().ask("/echo on") == "on"


@pytest.mark.stages(1, 2, 3)
def test_nothing_is_forbidden(start, family):
    """The stages before know nothing of it."""
    server = start(wrapper=forbidding("EPERM", *ALL))
    assert server.connect().ask("/echo here") == "here"


@pytest.mark.stages(5)
@pytest.mark.families("unix")
@pytest.mark.parametrize("part", PARTS)
def test_goes_on_with_epoll(start, part):
    """Stage 5, with `--io auto`, which is the default: "io_uring where it is
    to be had, else epoll"; it says why, and serves."""
    wrapper = forbidding("EPERM", PARTS[part])
    server = start("--io", "auto", wrapper=wrapper)
    told = server.wait_event("io")
    assert told["engine"] == "epoll"
    assert "seccomp" in told["why"] and "--io epoll" in told["why"]
    assert server.connect().ask("/echo here") == "here"


@pytest.mark.stages(5)
def test_stage_5_can_insist(run, folder):
    """`--io uring`: as stage 4, no start."""
    done = run(
        "--io", "uring", "--listen", f"text+unix://{folder}/text",
        wrapper=forbidding("ENOSYS", SETUP),
    )
    assert done.returncode == UNAVAILABLE
    [line] = done.stderr.splitlines()
    assert line.startswith("stage5-threads: no io_uring: ")
    assert not list(folder.iterdir())


@pytest.mark.stages(5)
def test_no_memory_is_no_reason(run, folder):
    """ENOMEM is a want of another kind in stage 5 too: 71."""
    done = run(
        "--listen", f"text+unix://{folder}/text",
        wrapper=forbidding("ENOMEM", SETUP),
    )
    assert done.returncode == SYSTEM
    assert "cannot start: Cannot allocate memory" in done.stderr


@pytest.mark.stages(5)
@pytest.mark.families("unix")
@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_chooses(start, io):
    """`--io`: what was asked for, and no reason why not."""
    told = start("--io", io).wait_event("io")
    assert told["engine"] == io and "why" not in told
