"""What stage 4 has to reach, as a table of ratios between medians of one run.

A goal whose figures are not there is neither reached nor missed, and says
why. Measures nothing.
"""

from dataclasses import dataclass

from figures import MICROSECONDS, Measure, Report, ranked

RATE = "deliveries_per_cpu_s"
BY_RATE = Measure(RATE, "", True)


class Missing(Exception):
    """What there is no figure of."""


class Figures:
    """The medians of a report."""

    def __init__(self, json):
        self.report = Report(json)
        self.hmac = json["hmac"]

    def of(self, workload, server, key=RATE):
        for result in self.report.results({"name": workload}):
            value = result["median"].get(key)
            if result["server"] == server and value is not None:
                return value
        raise Missing(f"{server} was not measured under {workload}")

    def best_peer(self, workload):
        """Its rate, and its name."""
        results = self.report.results({"name": workload})
        peers = ranked(self.report.of_kind(results, "peer"), BY_RATE)
        if not peers:
            raise Missing("needs PEERS=1")
        return peers[0]["median"][RATE], peers[0]["server"]


@dataclass(frozen=True)
class Goal:
    name: str
    text: str
    target: float
    compute: object  # of Figures: the value, and what it is of
    at_most: bool = False


def against(workload, other, server="stage4", key=RATE, of=None):
    """A figure of a server as a multiple of another's, by itself under the
    same workload."""

    def compute(figures):
        ours = figures.of(workload, server, key)
        theirs = figures.of(of or workload, other, key)
        under = f" ({of})" if of else ""
        return ours / theirs, (
            f"{server} {ours:,.0f} / {other} {theirs:,.0f}{under}"
        )

    return compute


def against_peers(workload):
    def compute(figures):
        ours = figures.of(workload, "stage4")
        theirs, peer = figures.best_peer(workload)
        return ours / theirs, f"stage4 {ours:,.0f} / {peer} {theirs:,.0f}"

    return compute


def resident(workload):
    def compute(figures):
        value = figures.of(workload, "stage4", "resident_per_client")
        return value, f"stage4 {value:,.0f} bytes"

    return compute


def microseconds(figures, workload):
    """Of a processor, for each message that is said and heard."""
    return MICROSECONDS / figures.of(workload, "stage4")


def publishing(figures):
    """Both are as long on the wire, so what else is in the difference is JSON
    and CRCs. Where at least half of it is HMAC, JSON is less than that."""
    frame = microseconds(figures, "echo-frame")
    secure = microseconds(figures, "echo-secure")
    each, size = figures.hmac["us"], figures.hmac["bytes"]
    if not each:
        raise Missing(
            f"needs openssl(1); a message costs {secure:.2f} us in secure, "
            f"{frame:.2f} us in frame"
        )
    return (secure - frame) / (2 * each), (
        f"secure {secure:.2f} us - frame {frame:.2f} us / 2 HMACs of {size} "
        f"bytes, {each:.2f} us each"
    )


BEST = "times the best of Redis, NATS, ngircd and InspIRCd"
PER = "for each second of the server's processor time"
GOALS = (
    Goal(
        "fanout-1-100 peers",
        f"1 to 100: stage 4 delivers at least 4.5 {BEST}, {PER}",
        4.5, against_peers("fanout-1-100"),
    ),
    Goal(
        "fanout-1-100 raw", "1 to 100: stage 4 at least 0.95 of raw relay",
        0.95, against("fanout-1-100", "raw-relay"),
    ),
    Goal(
        "fanout-1-100 stage3", "1 to 100: stage 3 at least 0.85 of stage 4",
        0.85, against("fanout-1-100", "stage4", server="stage3"),
    ),
    Goal(
        "fanout-1-100 stage5",
        "1 to 100: stage 5 with a worker at least 0.95 of stage 4",
        0.95, against("fanout-1-100", "stage4", server="stage5"),
    ),
    Goal(
        "echo stage5", "echo: stage 5 with a worker at least 0.95 of stage 4",
        0.95, against("echo", "stage4", server="stage5"),
    ),
    Goal(
        "fanout-10-1000 peers",
        f"10 to 1,000: stage 4 delivers at least 2.5 {BEST}, {PER}",
        2.5, against_peers("fanout-10-1000"),
    ),
    Goal(
        "fanout-1-10-4k raw",
        "1 to 10, 4 KiB: stage 4 at least 1.0 of raw relay",
        1.0, against("fanout-1-10-4k", "raw-relay"),
    ),
    Goal(
        "fanout-window-1 raw",
        "nothing to batch: stage 4 at least 0.97 of raw relay",
        0.97, against("fanout-window-1", "raw-relay"),
    ),
    Goal(
        "fanout-window-1 peers",
        f"nothing to batch: stage 4 at least 0.97 {BEST}",
        0.97, against_peers("fanout-window-1"),
    ),
    Goal(
        "paced p50", "1,000 messages a second to 100: the median latency of "
        "stage 4 within 10 % of raw relay's",
        1.1, against("paced", "raw-relay", key="p50_us"), at_most=True,
    ),
    Goal(
        "paced p99", "1,000 messages a second to 100: p99 of stage 4 within "
        "10 % of raw relay's",
        1.1, against("paced", "raw-relay", key="p99_us"), at_most=True,
    ),
    Goal(
        "echo peers", f"echo: stage 4 at least 1.1 {BEST}, {PER}",
        1.1, against_peers("echo"),
    ),
    Goal(
        "echo raw", "echo: stage 4 at least 1.0 of raw echo",
        1.0, against("echo", "raw-echo"),
    ),
    Goal(
        "connected-10000 resident",
        "10,000 idle: at most 400 bytes resident each in stage 4",
        400, resident("connected-10000"), at_most=True,
    ),
    Goal(
        "secure fanout",
        "1 to 100: secure at least 0.8 of frame in stage 4",
        0.8, against("fanout-secure", "stage4", of="fanout-frame"),
    ),
    Goal(
        "secure publishing",
        "publishing in secure is bound by HMAC, not by JSON: it costs stage "
        "4 more than as many bytes in frame by at most twice what two HMACs "
        "take",
        2.0, publishing, at_most=True,
    ),
)


def judge(goal, figures):
    said = {
        "name": goal.name, "text": goal.text, "target": goal.target,
        "at_most": goal.at_most, "value": None, "reached": None, "of": None,
        "why": None,
    }
    try:
        value, of = goal.compute(figures)
    except Missing as missing:
        return {**said, "why": str(missing)}
    reached = value <= goal.target if goal.at_most else value >= goal.target
    return {**said, "value": round(value, 4), "reached": reached, "of": of}


def judge_all(json):
    """Of a report that has all but its goals."""
    figures = Figures(json)
    return [judge(goal, figures) for goal in GOALS]
