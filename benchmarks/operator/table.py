"""The table of what was measured."""

from __future__ import annotations

from benchmarks.operator.measure import Figures


def table(figures: Figures, *, slot: float) -> str:
    """Return the table, in Markdown.

    Args:
        figures: What was measured.
        slot: How long a pod runs, in seconds.
    """
    jobs = set(figures.jobs.values())
    total = sum(figures.kinds.values())
    rows = [
        ("from ImageBuild to Job, a slot free, p50", _seconds(_share(figures.start, 0.5)), ""),
        ("likewise, p95", _seconds(_share(figures.start, 0.95)), "< 2 s"),
        (
            f"a run keeps its slot ({slot:g} s of them in its pod), p50",
            _seconds(_share(figures.slot, 0.5)),
            "",
        ),
        ("likewise, p95", _seconds(_share(figures.slot, 0.95)), ""),
        ("single builds beside thousands, to the Job, p50", _seconds(_share(figures.fair, 0.5)), ""),
        ("likewise, p95", _seconds(_share(figures.fair, 0.95)), "< a slot's time"),
        ("all builds", f"{figures.through:.0f} s", ""),
        ("Jobs of a build", ", ".join(map(str, sorted(jobs))), "1"),
        ("requests a build", f"{total / figures.builds:.1f}", "bounded"),
        *(
            (f"· {kind}", f"{count / figures.builds:.2f}", "")
            for kind, count in figures.kinds.most_common(12)
        ),
        ("status writes of a build, at most", str(max(figures.writes.values(), default=0)), "bounded"),
        ("CPU a build", f"{figures.cpu / figures.builds * 1000:.0f} ms", ""),
        ("memory, at most", f"{figures.peak / 2**20:.0f} MiB", "< 400 MiB"),
        (
            "requests in idleness, without the Lease's",
            f"{figures.idle:.2f} a second",
            "< 5 a second",
        ),
        ("CPU when nothing happens", f"{figures.idle_cpu * 100:.1f} %", ""),
        ("from a restart to ready", _seconds(figures.ready), "< 60 s"),
        ("from a restart to the Job of a new build", _seconds(figures.again), "< 60 s"),
        ("requests after a restart", str(sum(figures.settling.values())), ""),
        *((f"· {kind}", str(count), "") for kind, count in figures.settling.most_common(4)),
        ("memory after a restart, at most", f"{figures.peak_again / 2**20:.0f} MiB", "< 400 MiB"),
    ]
    lines = [
        f"| {figures.builds:,} ImageBuilds in {figures.namespaces} namespaces | | aim |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines)


def _share(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def _seconds(value: float) -> str:
    return f"{value:.2f} s"
