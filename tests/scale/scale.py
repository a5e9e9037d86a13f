"""What more workers bring (`make scale WORKERS="1 2 4 8 16"`): a stage with
each number of them, under a few shapes of load, in interleaved rounds, by the
means of `make compare`. Writes build/scale/report.md, report.json and
pictures.

Exit status 0: all runs held; 1: a server or a run failed, 64: the options are
wrong.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "compare"))

import compare  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import pictures  # noqa: E402
import plan  # noqa: E402
import scale_counts  # noqa: E402
import scale_plan  # noqa: E402
import scale_report  # noqa: E402
import servers  # noqa: E402
import syscalls  # noqa: E402
from measure import Rounds, Trial  # noqa: E402
from servers import REPOSITORY, Trouble  # noqa: E402
from terminal import Progress, say  # noqa: E402

WORKERS = "1 2 4 8 16"


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scale.py", description=__doc__.split("\n\n")[0]
    )
    add = parser.add_argument
    add("program", type=Path, help="the server; ringchat-load is beside it")
    add("--workers", type=numbers, default=None, help=f"({WORKERS})")
    add("--only", type=compare.names, default=[], help="shapes: NAME[,NAME]..")
    add("--quick", action="store_true", help="fewer and shorter rounds")
    add("--rounds", type=int)
    add("--duration", type=float, help="seconds measured in each run")
    add("--out", type=Path, default=REPOSITORY / "build/scale")
    add("--command", default=" ".join(sys.argv), help="how it was asked for")
    options = parser.parse_args(arguments)
    options.program = options.program.resolve()
    options.out = options.out.resolve()
    return options


def numbers(text):
    found = sorted({int(word) for word in text.replace(",", " ").split()})
    if not found or found[0] < 1:
        raise ValueError(text)
    return found


def setting(options, layout, folder):
    """As in `make compare`, on other processors."""
    key = Path(folder) / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(32))
    quick = options.quick
    return scale_plan.ManyCpus(
        load=servers.shown(options.program.parent / "ringchat-load"),
        out=options.out,
        key=key,
        server_cpu=scale_plan.listed(layout.server(layout.most)),
        load_cpu=scale_plan.listed(layout.load()),
        rounds=compare.or_else(options.rounds, 2 if quick else 5),
        duration=compare.or_else(options.duration, 0.5 if quick else 2.0),
        warmup=0.1 if quick else 0.5,
    )


def point(trial):
    """A number of workers under a shape."""
    result = measure.result(trial)
    ends = {end: result[end]["delivered_per_s"]
            for end in ("low", "median", "high")}
    why = Counter(r["bottleneck"] for r in trial.rounds)
    return {
        "workers": trial.candidate.workers,
        "per_s": ends,
        "per_cpu_s": result["median"]["deliveries_per_cpu_s"],
        "p99_us": result["median"]["p99_us"],
        "bottleneck": why.most_common(1)[0][0],
        "rounds": [r["delivered_per_s"] for r in trial.rounds],
        "disturbed": result["disturbed"],
        "command": trial.command, "server_command": trial.server_command,
    }


def shape_of(workload, trials, counted, processors):
    mine = [t for t in trials if t.workload is workload]
    shape = {
        "name": workload.name, "title": workload.title,
        "about": workload.about, "unit": workload.unit,
        "load": workload.shown_load,
        "points": [point(t) for t in mine if t.rounds],
        "counts": [c for t, c in counted if t.workload is workload],
    }
    shape["laws"] = scale_report.laws(shape, processors)
    return shape


def count_all(how, trials):
    method, reasons = syscalls.choose_method(how.out / "calls.txt")
    for reason in reasons:
        say(f"System calls are not counted by {reason}")
    counted = []
    for trial in trials:
        entry = scale_counts.count(how, trial, method)
        counted.append((trial, entry))
        futexes = entry.get("futexes_per_s")
        shown = "–" if futexes is None else f"{futexes:.1f}"
        say(f"counts, {trial.name}: {entry['trouble'] or shown} futex calls "
            "a second")
    return counted


def measure_all(options, folder):
    """The report."""
    stage = servers.stage(options.program)
    counts = options.workers or default_workers(stage)
    layout = scale_plan.layout(counts)
    how = setting(options, layout, folder)
    table = scale_plan.shapes(options.only, layout)
    trials = [
        Trial(workload, candidate)
        for workload in table
        for candidate in scale_plan.candidates(stage, counts, layout)
    ]
    say(layout.sentence())
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    runs = len(trials) * how.rounds
    seconds = sum(how.rounds * plan.run_seconds(how, t) for t in trials)
    progress = Progress(how, runs, seconds)
    Rounds(how, progress.measured).take_all(trials)
    counted = count_all(how, [t for t in trials if t.rounds])
    processors = len(layout.allowed)
    troubles = [(t.name, t.trouble) for t in trials]
    troubles += [(f"counts, {t.name}", c["trouble"]) for t, c in counted]
    return {
        "command": options.command, "when": when,
        "stage": stage.name, "title": stage.title,
        "workers": counts, "layout": layout.sentence(),
        "shared": layout.shared, "processors": processors,
        "rounds": how.rounds, "duration_s": how.duration,
        "warmup_s": how.warmup,
        "machine": machine.machine(options.program.parent),
        "ringchat": machine.ringchat(),
        "shapes": [
            shape_of(w, trials, counted, processors) for w in table
        ],
        "failures": [f"{name}: {why}" for name, why in troubles if why],
    }


def default_workers(stage):
    number = int(stage.name.removeprefix("stage"))
    return numbers(WORKERS if number >= scale_plan.WITH_WORKERS else "1")


def write(made, out):
    """The figures first: they took longest to get."""
    (out / "report.json").write_text(json.dumps(made, indent=1) + "\n")
    drawn = set()
    for shape in made["shapes"]:
        picture = scale_report.draw(made, shape)
        if picture:
            pictures.write({f"scale-{shape['name']}": picture}, out)
            drawn.add(shape["name"])
    text = scale_report.report(made, drawn)
    (out / "report.md").write_text(text)
    return text


def run(options):
    """The exit status."""
    compare.prepare(options.out)
    with tempfile.TemporaryDirectory(prefix="ringchat-scale-") as folder:
        made = measure_all(options, folder)
    print(write(made, options.out))
    print(f"{servers.shown(options.out)}/report.md, .json")
    return 1 if made["failures"] else 0


def main(arguments):
    try:
        return run(parse(arguments))
    except LookupError as error:
        say(f"scale.py: {error.args[0]}")
        return os.EX_USAGE
    except (Trouble, OSError) as error:
        say(f"scale.py: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
