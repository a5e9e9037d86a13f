"""Compares the stages, raw, and other servers under the same loads (`make
compare`): has the runs of plan.py taken in turn, and writes what came of it to
build/compare/: report.json, report.html, report.md and its pictures.

Progress goes to standard error; medians, and what has become of the goals, go
to standard output. Exit status 0: all runs held, whatever their figures; 1: a
server or a run failed, 64: the options are wrong.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pictures
import plan
import report
import servers
import syscalls
from figures import Report
from markdown import markdown
from measure import Rounds, Setting
from page import html
from servers import REPOSITORY, Trouble
from terminal import Progress, print_summary, say


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="compare.py", description=__doc__.split("\n\n")[0]
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter runs")
    add("--peers", action="store_true", help="redis, nats and irc as well")
    add("--build", type=Path, default=REPOSITORY / "build/release-gcc",
        help="folder of the programs")
    add("--out", type=Path, default=REPOSITORY / "build/compare",
        help="folder for the report")
    add("--only", type=names, default=[], help="workloads: NAME[,NAME]...")
    add("--servers", type=names, default=[], help="servers: NAME[,NAME]...")
    add("--rounds", type=int, help="of each workload at most")
    add("--duration", type=float, help="seconds measured in each run")
    add("--warmup", type=float, help="seconds before that")
    add("--command", default=" ".join(sys.argv), help="how this was asked for")
    options = parser.parse_args(arguments)
    for name, least in (("rounds", 1), ("duration", 0.1), ("warmup", 0)):
        value = getattr(options, name)
        if value is not None and not least <= value < 1e6:
            parser.error(f"--{name}: at least {least}")
    options.build = options.build.resolve()
    options.out = options.out.resolve()
    return options


def names(text):
    return [name for name in text.split(",") if name]


def or_else(value, otherwise):
    return otherwise if value is None else value


def setting(options, folder):
    """How everything is run, with a key that nobody else may read."""
    key = Path(folder) / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(32))
    server_cpu, load_cpu = servers.processors()
    quick = options.quick
    return Setting(
        load=servers.shown(options.build / "ringchat-load"),
        out=options.out,
        key=key,
        server_cpu=server_cpu,
        load_cpu=load_cpu,
        rounds=or_else(options.rounds, 2 if quick else 4),
        duration=or_else(options.duration, 0.4 if quick else 1.5),
        warmup=or_else(options.warmup, 0.1 if quick else 0.3),
    )


def announce(how, runs, seconds, reasons):
    for reason in reasons:
        say(f"System calls are not counted by {reason}")
    if how.server_cpu == how.load_cpu:
        say("There is but one processor: servers and load share it.")
    say(f"{runs} runs, some {seconds / 60:.1f} minutes; servers on processor "
        f"{how.server_cpu}, load on {how.load_cpu}")


def count_all(how, trials, method, progress):
    """The entries of the report, and what failed."""
    counted, failed = [], []
    for trial in trials:
        try:
            entry = syscalls.count(how, trial, method)
            counted.append(entry)
            progress.counted(trial, f"{entry['per_delivery']:.4f} for each")
        except Trouble as trouble:
            failed.append(f"calls, {trial.name}: {trouble}")
            progress.counted(trial, f"FAILED: {trouble}")
    return counted, failed


def compare(options, how):
    """Returns the report."""
    drawn = plan.draw(options)
    method, reasons = syscalls.choose_method(how.out / "calls.txt")
    if method is None:
        drawn.counted = []
    runs, seconds = plan.total(how, drawn)
    announce(how, runs, seconds, reasons)
    begin, when = time.monotonic(), time.gmtime()
    progress = Progress(how, runs, seconds)
    Rounds(how, progress.measured).take_all(drawn.trials)
    counted, failed = count_all(how, drawn.counted, method, progress)
    return report.whole(
        how,
        drawn,
        calls={
            "calls": counted,
            "calls_failed": failed,
            "calls_unavailable": reasons if method is None else [],
        },
        took={
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", when),
            "seconds": round(time.monotonic() - begin),
        },
    )


def write(made, out):
    """The figures first: they took longest to get."""
    (out / "report.json").write_text(json.dumps(made, indent=1) + "\n")
    drawn = pictures.draw(Report(made))
    pictures.write(drawn, out)
    (out / "report.html").write_text(html(made, drawn))
    (out / "report.md").write_text(markdown(made))


def prepare(out):
    """As many descriptors as are allowed, for all that is started from here;
    SIGTERM ends everything as Ctrl-C does."""
    if not shutil.which("gnuplot"):
        raise Trouble("gnuplot is not installed: it draws the pictures")
    out.mkdir(parents=True, exist_ok=True)
    for failed in out.glob("failed-*.txt"):  # in an earlier run
        failed.unlink()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def run(options):
    """The exit status."""
    prepare(options.out)
    with tempfile.TemporaryDirectory(prefix="ringchat-compare-") as folder:
        made = compare(options, setting(options, folder))
    print_summary(made)
    write(made, options.out)
    print(f"\n{servers.shown(options.out)}/report.html, .md, .json "
          f"({made['seconds']} s)")
    for failure in made["failures"]:
        say(f"FAILED {failure}")
    return 1 if made["failures"] else 0


def main(arguments):
    try:
        return run(parse(arguments))
    except LookupError as error:
        say(f"compare.py: {error.args[0]}")
        return os.EX_USAGE
    except (Trouble, OSError) as error:
        say(f"compare.py: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
