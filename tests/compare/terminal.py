"""What a run says in the terminal: how far it is, on standard error; and what
came of it in brief, on standard output.
"""

import sys
import time

import plan
from figures import Report, measure, number, spread


def say(text):
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Of so many runs, which were planned to take so many seconds."""

    def __init__(self, setting, runs, seconds):
        self.setting, self.runs, self.planned = setting, runs, seconds
        self.passed = self.done = 0
        self.begin = time.monotonic()

    def left(self):
        """Seconds, if the rest takes as much longer than planned as what is
        over."""
        taken = time.monotonic() - self.begin
        pace = taken / self.passed if self.passed else 1
        return max(0, (self.planned - self.passed) * pace)

    def step(self, text, seconds):
        self.passed += seconds
        self.done += 1
        minutes, rest = divmod(round(self.left()), 60)
        say(f"[{self.done}/{self.runs}, {minutes}:{rest:02} left] {text}")

    def measured(self, trial, figures, text):
        """Told by measure.Rounds. What is repeated was not planned."""
        if figures is None and not trial.trouble:
            say(f"{trial.name}: {text}")
            return
        shown = text or round_text(trial.workload, figures)
        seconds = plan.run_seconds(self.setting, trial)
        self.step(f"{trial.name}: {shown}", seconds)

    def counted(self, trial, text):
        seconds = plan.calls_seconds(self.setting, trial)
        self.step(f"calls, {trial.name}: {text}", seconds)


def round_text(workload, figures):
    others = f"(others {figures['other_share']:.1%})"
    if workload.unit == "members":
        return f"{number(figures['resident_per_client'])} bytes each {others}"
    return (
        f"{number(figures['deliveries_per_cpu_s'])} {workload.unit} per CPU "
        f"second, {number(figures['delivered_per_s'])} per second, "
        f"p99 {number(figures['p99_us'])} us {others}"
    )


def print_summary(made):
    report = Report(made)
    for workload in report.workloads:
        by = measure(workload)
        print(f"\n{workload['name']}: {workload['title']}, {by.head}")
        for result in report.results(workload):
            print(result_line(result, by))
    print("\nGoals")
    for goal in made["goals"]:
        print(f"  {verdict(goal):24} {goal['text']}"
              + (f" ({goal['of']})" if goal["of"] else ""))


def result_line(result, by):
    figures = spread(result, by.key)
    line = f"  {result['server']:10} {number(figures.median):>12}"
    if figures.range():
        line += f"  ({figures.range()})"
    if result["disturbed"]:
        line += f", {result['disturbed']} disturbed"
    return line


def verdict(goal):
    if goal["value"] is None:
        return f"- {goal['why']}"
    word = "reached" if goal["reached"] else "MISSED"
    sign = "<=" if goal["at_most"] else ">="
    return f"{word} {number(goal['value'])} {sign} {goal['target']:g}"
