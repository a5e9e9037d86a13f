"""`make compare`: what it plans, puts together and judges, and that a small
run of it yields a whole report."""

import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from conftest import REPOSITORY
from timing import WAIT, until

sys.path.append(str(REPOSITORY / "tests/compare"))

import goals  # noqa: E402
import measure  # noqa: E402
import plan  # noqa: E402
import servers  # noqa: E402
import syscalls  # noqa: E402
import workloads  # noqa: E402
from servers import PEERS, Candidate, Server, Trouble  # noqa: E402

STAGE1 = Candidate("stage1", "stage 1", "stage", ("text",), "none")
OURS = ("text", "frame", "secure")
STAGE4 = Candidate("stage4", "stage 4", "stage", OURS, "none")
RELAY = Candidate("raw-relay", "raw relay", "raw", ("raw",), "none")
IRC = next(peer for peer in PEERS if peer.name == "ngircd")


def workload(name):
    return next(w for w in workloads.WORKLOADS if w.name == name)


# --- the plan


@pytest.mark.parametrize(
    "name, candidate, why",
    [
        ("fanout-1-100", STAGE1, None),
        ("fanout-1-10-4k", STAGE1, "does not speak frame"),
        ("fanout-1-10-4k", STAGE4, None),
        ("fanout-1-10-4k", IRC, "irc has no messages of 4,096 bytes"),
        ("fanout-secure", RELAY, "speaks raw only"),
        ("idle-10000", STAGE1, "has threads for each client"),
        ("rooms", RELAY, "has one room"),
        ("churn", IRC, "who speaks does not hear itself"),
    ],
)
def test_who_can_do_what(name, candidate, why):
    assert workloads.why_not(workload(name), candidate) == why


def test_names_are_unique():
    names = [w.name for w in [*workloads.WORKLOADS, *workloads.POINTS]]
    assert len(names) == len(set(names))


def options(**more):
    made = {"only": [], "servers": [], "quick": False, "peers": False}
    return SimpleNamespace(**{**made, **more})


@pytest.mark.parametrize(
    "quick, rounds, duration, warmup, minutes",
    [(True, 2, 0.4, 0.1, 3), (False, 4, 1.5, 0.3, 25)],
)
def test_it_is_over_in_time(
    monkeypatch, quick, rounds, duration, warmup, minutes
):
    """As it is planned: the quick run, and the full one with all peers."""
    peers = () if quick else PEERS
    stages = [STAGE1, STAGE4] + [
        Candidate(f"stage{n}", "", "stage", OURS, "none") for n in (2, 3)
    ]
    monkeypatch.setattr(
        servers, "available", lambda *_: [*stages, RELAY, *peers]
    )
    setting = SimpleNamespace(rounds=rounds, duration=duration, warmup=warmup)
    drawn = plan.draw(options(quick=quick, peers=not quick, build=None))
    runs, seconds = plan.total(setting, drawn)
    assert runs > 50 and seconds < minutes * 60


def test_a_peer_that_is_not_installed(monkeypatch, pytestconfig):
    monkeypatch.setattr(servers, "PATH", "")
    build = REPOSITORY / pytestconfig.getoption("--build-dir")
    with pytest.raises(Trouble, match="redis-server is not installed"):
        servers.available(build, with_peers=True)


# --- rounds


def figures(rate=100.0, disturbed=False, **more):
    made = dict.fromkeys(measure.FIGURES)
    made |= {"deliveries_per_cpu_s": rate, "bottleneck": "server"}
    made |= {"held": True, "disturbed": disturbed, "other_share": 0.5}
    return made | more


def take_rounds(trials, outcomes, rounds=3):
    """What is taken in which order; `outcomes` are figures or trouble."""
    taken = []

    def take(setting, trial):
        taken.append(trial.name)
        outcome = outcomes(trial, len(taken))
        if isinstance(outcome, Trouble):
            raise outcome
        return outcome, {"latency": {"buckets_ns": [[1, 2, 3]]}}

    setting = SimpleNamespace(rounds=rounds)
    measure.Rounds(setting, lambda *_: None, take).take_all(trials)
    return taken


def trials_of(*names):
    return [
        measure.Trial(
            workload("fanout-1-100"),
            Candidate(name, name, "stage", ("text",), "none"),
        )
        for name in names
    ]


def test_rounds_are_interleaved():
    trials = trials_of("a", "b", "c")
    taken = take_rounds(trials, lambda trial, number: figures())
    assert [name[-1] for name in taken] == list("abcbcacab")
    assert all(trial.buckets == {(1, 2): 9} for trial in trials)


def test_what_was_disturbed_is_repeated():
    """When the others of the round have been, and not for ever."""
    trials = trials_of("a", "b")
    taken = take_rounds(
        trials, lambda trial, number: figures(disturbed=number == 1)
    )
    assert [name[-1] for name in taken] == list("aba" "ba" "ab")
    assert (trials[0].repeated, len(trials[0].rounds)) == (1, 3)


def test_what_stays_disturbed_is_kept_and_marked():
    trials = trials_of("a")
    take_rounds(trials, lambda *_: figures(disturbed=True), rounds=1)
    assert trials[0].repeated == measure.REPEATED_EACH
    assert measure.result(trials[0])["disturbed"] == 1


def test_who_fails_is_not_asked_again():
    """And does not keep the others from theirs. What it has done before is
    kept, and what happened to it told."""
    trials = trials_of("a", "b")
    taken = take_rounds(
        trials,
        lambda trial, number: Trouble("lost 3") if number == 4 else figures(),
    )
    assert [name[-1] for name in taken] == list("abbab")
    made = [measure.result(trial) for trial in trials]
    assert [len(result["rounds"]) for result in made] == [1, 3]
    assert [result["trouble"] for result in made] == ["lost 3", None]


def test_median_and_spread():
    trials = trials_of("a")
    rates = iter([30.0, 10.0, 20.0])
    take_rounds(trials, lambda *_: figures(next(rates)))
    made = measure.result(trials[0])
    assert [
        made[of]["deliveries_per_cpu_s"] for of in ("median", "low", "high")
    ] == [20.0, 10.0, 30.0]
    assert made["median"]["p50_us"] is None
    assert made["median"]["held"] and made["median"]["bottleneck"] == "server"


def test_other_share():
    """Of two processors 4 s: 1 s idle, 1.5 and 1 s ours, the rest others'."""
    assert measure.other_share(2, 2.0, 1.0, 1.5, 1.0) == 0.25


# --- goals


def judged(name, medians, hmac=None):
    kinds = {"redis": "peer", "nats": "peer"}
    names = {server for _, server in medians}
    report = {
        "servers": [
            {"name": name, "kind": kinds.get(name, "stage")} for name in names
        ],
        "workloads": [],
        "results": [
            {"workload": workload, "server": server, "median": median}
            for (workload, server), median in medians.items()
        ],
        "hmac": {"us": hmac, "bytes": 256},
    }
    return next(g for g in goals.judge_all(report) if g["name"] == name)


def rate(value):
    return {"deliveries_per_cpu_s": value}


def test_goal_against_the_best_peer():
    medians = {
        ("fanout-1-100", "stage4"): rate(100.0),
        ("fanout-1-100", "redis"): rate(10.0),
        ("fanout-1-100", "nats"): rate(20.0),
    }
    goal = judged("fanout-1-100 peers", medians)
    assert (goal["value"], goal["reached"]) == (5.0, True)
    assert goal["of"] == "stage4 100 / nats 20"


def test_goal_without_peers():
    goal = judged(
        "fanout-1-100 peers", {("fanout-1-100", "stage4"): rate(1.0)}
    )
    assert (goal["value"], goal["reached"]) == (None, None)
    assert goal["why"] == "needs PEERS=1"


@pytest.mark.parametrize("size, reached", [(400, True), (401, False)])
def test_goal_at_most(size, reached):
    medians = {("connected-10000", "stage4"): {"resident_per_client": size}}
    goal = judged("connected-10000 resident", medians)
    assert goal["reached"] is reached


def test_goal_of_publishing():
    """A message takes 4 us in frame, 5 us in secure: what is added is twice
    what two HMACs of 0.25 us take."""
    medians = {
        ("echo-frame", "stage4"): rate(250_000.0),
        ("echo-secure", "stage4"): rate(200_000.0),
    }
    assert judged("secure publishing", medians, 0.25)["value"] == 2.0
    goal = judged("secure publishing", medians)
    assert goal["value"] is None and "5.00 us in secure" in goal["why"]


# --- system calls


def test_perf_counts(monkeypatch):
    monkeypatch.setattr(syscalls, "call_numbers", lambda: {"sendmsg": 46})
    text = (
        "# started on\n\n100,,raw_syscalls:sys_enter,1,100.00,,\n"
        "60,,raw_syscalls:sys_enter,1,100.00,,\n"
    )
    assert syscalls.perf_counts(text) == {"sendmsg": 60, "others": 40}
    command = syscalls.perf_command("file")
    assert command[-4:-1] == [syscalls.ALL, "--filter", "id==46"]


def test_numbers_of_calls():
    """Some are the same on all processors that Linux knows."""
    numbers = syscalls.call_numbers()
    assert (numbers["io_uring_enter"], numbers["epoll_pwait2"]) == (426, 441)


def test_perf_that_counts_nothing():
    with pytest.raises(Trouble, match="counted nothing"):
        syscalls.perf_counts("<not supported>,,raw_syscalls:sys_enter,0,0,,\n")


def test_without_perf_it_is_strace(monkeypatch, folder):
    found = {"perf": None, "strace": "/usr/bin/strace"}
    monkeypatch.setattr(syscalls.shutil, "which", found.get)
    method, reasons = syscalls.choose_method(folder / "calls.txt")
    assert method == "strace"
    assert reasons == ["perf stat: perf is not installed"]


def test_strace_counts():
    text = (
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- -------------\n"
        " 60.00    0.000600           1       600        20 recvmsg\n"
        " 40.00    0.000400           1       400           sendmsg\n"
        "100.00    0.001000           1      1000        20 total\n"
    )
    assert syscalls.strace_counts(text) == {"recvmsg": 600, "sendmsg": 400}


# --- servers and loads that fail


def start(program, folder):
    candidate = SimpleNamespace(
        name="bad", kind="raw", command=lambda *_: ["sh", "-c", program]
    )
    with Server(candidate, "raw", 0, None, folder / "log"):
        pass


def test_server_that_dies(folder):
    with pytest.raises(Trouble, match="(?s)bad has ended.*status 3.*no luck"):
        start("echo no luck; exit 3", folder)


def test_server_that_never_listens(folder, monkeypatch):
    monkeypatch.setattr(servers, "LISTEN_SECONDS", 0.2)
    with pytest.raises(Trouble, match="(?s)does not listen.*waiting"):
        start("echo waiting; sleep 60", folder)


def test_load_that_fails(folder):
    """What it has said is kept."""
    keep = folder / "failed.txt"
    command = ["sh", "-c", "echo lost 3; echo complaint >&2; exit 1"]
    with pytest.raises(Trouble, match="(?s)status 1.*failed.txt.*complaint"):
        measure.run_load(command, WAIT, keep)
    assert "lost 3" in keep.read_text()


# --- the whole


@pytest.fixture
def command(pytestconfig, folder):
    """The command of a small comparison."""
    build = REPOSITORY / pytestconfig.getoption("--build-dir")

    def make_command(*options):
        program = REPOSITORY / "tests/compare/compare.py"
        tiny = ["--rounds", "1", "--duration", "0.2", "--warmup", "0"]
        return [
            "/usr/bin/python3", program, "--build", build, "--out",
            folder / "out", *tiny, *options,
        ]

    return make_command


# Where there is no perf(1) strace(1) counts, under which LeakSanitizer does not
# work.
@pytest.mark.unsanitized
def test_small_run(command, folder):
    made = command(
        "--only", "fanout-1-100,echo",
        "--servers", "stage4,raw-relay,raw-echo",
    )
    done = subprocess.run(made, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "out/report.json").read_text())
    assert [(r["workload"], r["server"]) for r in report["results"]] == [
        ("fanout-1-100", "stage4"), ("fanout-1-100", "raw-relay"),
        ("echo", "stage4"), ("echo", "raw-echo"),
    ]
    for result in report["results"]:
        check_result(result)
    assert report["failures"] == []
    assert len(report["calls"]) == 4
    assert all(c["per_delivery"] > 0 for c in report["calls"])
    assert report["hmac"]["us"] > 0
    reached = {goal["name"]: goal["why"] for goal in report["goals"]}
    assert reached["fanout-1-100 raw"] is None
    assert reached["fanout-1-100 peers"] == "needs PEERS=1"
    assert "<html" in (folder / "out/report.html").read_text()
    assert "Goals" in done.stdout
    linked = re.findall(r"\]\((.*\.svg)\)", (
        folder / "out/report.md"
    ).read_text())
    assert linked and all((folder / "out" / f).exists() for f in linked)


def check_result(result):
    assert result["median"]["held"]
    assert len(result["rounds"]) == 1
    assert result["median"]["delivered_per_s"] > 0
    assert sum(count for _, _, count in result["buckets_ns"]) > 0
    assert "--workload" in result["command"]
    assert "--listen" in result["server_command"]


def test_unknown_workload(command):
    done = subprocess.run(
        command("--only", "fanaut"), capture_output=True, text=True,
        timeout=WAIT,
    )
    assert done.returncode == 64
    assert "there is no workload fanaut" in done.stderr


def test_folder_that_cannot_be_written(command):
    done = subprocess.run(
        [*command(), "--out", "/dev/null/out"], capture_output=True,
        text=True, timeout=WAIT,
    )
    assert done.returncode == 1
    assert "Not a directory" in done.stderr and "Traceback" not in done.stderr


def test_interrupted_run_leaves_nothing(command, folder):
    """Not even the key; what is started names it, in this test's folder."""
    # Who is started in the background, as these tests may be, ignores SIGINT.
    process = subprocess.Popen(
        ["env", "--default-signal=INT",
         *command("--only", "fanout-secure", "--servers", "stage4",
                  "--duration", "60")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    mine = f"{folder}/ringchat-compare-"
    until(lambda: running(mine, "ringchat-load"), "the load runs")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT)
    assert process.returncode == 130
    until(lambda: not running(mine), "all have ended")
    assert not list(folder.glob("ringchat-compare-*"))


def running(word, program=""):
    """Whether a process has both in its command."""
    lines = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True
    ).stdout.splitlines()
    return any(word in line and program in line for line in lines)
