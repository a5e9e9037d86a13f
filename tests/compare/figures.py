"""What the presenting half of `make compare` asks of a report: which results
belong together, what is better, and how a number is written. Pure: it reads
report.json as compare.py has made it, and knows neither HTML nor pictures.
"""

import math
from typing import NamedTuple, Optional

NOTHING = "–"
MICROSECONDS = 1e6

# --- numbers


def exact(value):
    """What is not measured but known, thousands grouped."""
    if value is None:
        return NOTHING
    text = f"{value:,.6f}".rstrip("0")
    return text.rstrip(".")


def number(value):
    """What is measured: three digits that count, thousands grouped."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    value = float(f"{value:.2e}")
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(places, 0)}f}"


def times(value, other):
    """One in proportion to the other, written."""
    return NOTHING if not value or not other else number(value / other)


def percent(share):
    return f"{number(abs(share) * 100)} %"


def duration(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Spread(NamedTuple):
    """A median, and the least and the most of its rounds."""

    median: Optional[float]
    low: Optional[float] = None
    high: Optional[float] = None

    def range(self):
        """Nothing where there is none to be seen."""
        if self.low is None or self.high is None:
            return ""
        low, high = number(self.low), number(self.high)
        return "" if low == high else f"{low} – {high}"


# --- what is better


class Measure(NamedTuple):
    """What servers are ranked by."""

    key: str
    head: str
    more_is_better: bool


def measure(workload):
    """What a workload is there to find out."""
    unit = workload["unit"]
    if unit == "members":
        return Measure("resident_per_client", "bytes per connection", False)
    if workload["name"].startswith("paced"):
        return Measure("p99_us", "p99, µs", False)
    return Measure("deliveries_per_cpu_s", f"{unit} per CPU second", True)


def spread(result, key):
    ends = (result[part] for part in ("median", "low", "high"))
    return Spread(*(end.get(key) for end in ends))


# --- a report


class Report:
    """A report.json, with what belongs together found."""

    def __init__(self, json):
        self.json = json
        self.servers = {server["name"]: server for server in json["servers"]}
        self.workloads = json["workloads"]
        self.order = {name: n for n, name in enumerate(self.servers)}

    def in_order(self, items):
        return sorted(items, key=lambda item: self.order[item["server"]])

    def results(self, workload):
        return self.in_order(
            result
            for result in self.json["results"]
            if result["workload"] == workload["name"]
        )

    def absent(self, workload):
        return self.in_order(
            missing
            for missing in self.json["absent"]
            if missing["workload"] == workload["name"]
        )

    def calls(self, workload):
        return self.in_order(
            calls
            for calls in self.json["calls"]
            if calls["workload"] == workload["name"]
        )

    def curve(self, name):
        """None where it has not been measured at two places at least."""
        for curve in self.json["curves"]:
            places = {point["x"] for point in curve["points"]}
            if curve["name"] == name and len(places) > 1:
                return curve
        return None

    def title(self, item):
        """Of the server that a result, or a count of calls, is of."""
        return self.servers[item["server"]]["title"]

    def kind(self, item):
        return self.servers[item["server"]]["kind"]

    def label(self, result):
        """Names the dialect where a server has been measured in several."""
        same = [
            other
            for other in self.json["results"]
            if (other["workload"], other["server"])
            == (result["workload"], result["server"])
        ]
        title = self.title(result)
        return f"{title}, {result['variant']}" if len(same) > 1 else title

    def of_kind(self, results, kind):
        return [result for result in results if self.kind(result) == kind]

    def stages(self):
        return [s for s in self.servers.values() if s["kind"] == "stage"]


def ranked(results, by):
    """Those that have the measure, the best first."""
    known = [r for r in results if r["median"].get(by.key)]
    return sorted(
        known, key=lambda r: r["median"][by.key], reverse=by.more_is_better
    )


def best_value(results, by):
    first = ranked(results, by)[:1]
    return first[0]["median"][by.key] if first else None
