"""report.json: all that was planned, measured and counted, the machine and the
goals, as the presenting half (figures.py and what stands on it) takes it.
"""

import goals
import machine
import measure
from workloads import CURVES


def curves(results):
    """Points of a curve are workloads of their own, but no rows of a table."""
    made = []
    for name, (title, x) in CURVES.items():
        points = [
            {
                "server": trial.candidate.name,
                "x": trial.workload.x,
                **{
                    key: result["median"][key] or 0
                    for key in ("delivered_per_s", "deliveries_per_cpu_s")
                },
            }
            for trial, result in results
            if trial.workload.curve == name
        ]
        if points:
            made.append({"name": name, "title": title, "x": x,
                         "points": points})
    return made


def shown_server(setting, candidate):
    command = candidate.command(
        setting.server_cpu, candidate.dialects[0], "PORT", "KEY"
    )
    return {
        "name": candidate.name, "title": candidate.title,
        "kind": candidate.kind, "command": " ".join(command),
    }


def shown_workload(workload):
    return {
        "name": workload.name, "title": workload.title,
        "about": workload.about, "dialect": workload.dialect,
        "unit": workload.unit, "load": workload.shown_load,
    }


def failed_at_once(trial):
    return {
        "workload": trial.workload.name, "server": trial.candidate.name,
        "why": f"failed: {trial.trouble.splitlines()[0]}",
    }


def whole(setting, plan, calls, took):
    """`calls`: what has been counted, what could not be; `took`: when it was,
    and how long."""
    options = plan.options
    results = [(t, measure.result(t)) for t in plan.trials if t.rounds]
    tables = [r for t, r in results if not t.workload.curve]
    failed = [
        failed_at_once(t) for t in plan.trials if t.trouble and not t.rounds
    ]
    made = {
        "ringchat": machine.ringchat(),
        **took,
        "command": options.command,
        "quick": options.quick,
        "peers": any(c.kind == "peer" for c in plan.candidates),
        "rounds": setting.rounds,
        "duration_s": setting.duration,
        "warmup_s": setting.warmup,
        "disturbed_share": measure.DISTURBED,
        "machine": machine.machine(options.build),
        "pinned": {"server": setting.server_cpu, "load": setting.load_cpu},
        "versions": machine.versions(options.peers),
        "hmac": machine.hmac(setting.server_cpu),
        "servers": [shown_server(setting, c) for c in plan.candidates],
        "workloads": [shown_workload(w) for w in plan.table if not w.curve],
        "results": tables,
        "absent": plan.absent + failed,
        "curves": curves(results),
        **calls,
        "failures": [
            f"{t.name}: {t.trouble}" for t in plan.trials if t.trouble
        ] + calls["calls_failed"],
    }
    return {**made, "goals": goals.judge_all(made)}
