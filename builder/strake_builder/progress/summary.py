"""What a person reads at the end of a build that succeeded: how long it took, what was cached, what was made."""

from __future__ import annotations

from strake_api.result import BuildFailed, BuildSucceeded, StepCounts
from strake_builder.progress.transfer_lines import size_text


def summary_lines(result: BuildSucceeded | BuildFailed) -> list[str]:
    """Return lines about a build; none for one that failed, whose error tells the rest."""
    if isinstance(result, BuildFailed):
        return []
    spent = result.durations
    phases = (("source", spent.source), ("pull", spent.pull), ("build", spent.build), ("push", spent.push))
    shown = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases if seconds is not None)
    lines = [f"done in {spent.total:.1f} s" + (f" ({shown})" if shown else "") + _steps(result.steps)]
    if result.digest is not None:
        sizes = result.sizes
        lines.append(
            f"{result.digest}: {size_text(sizes.compressed)} in {_count(result.layers, 'layer')}, "
            f"{size_text(sizes.pushed)} pushed, {size_text(sizes.pulled)} pulled"
        )
    return lines


def _steps(steps: StepCounts) -> str:
    if not steps.run + steps.cached:
        return ""
    return f"; {_count(steps.run + steps.cached, 'step')}: {steps.cached} from the cache, {steps.run} run"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
