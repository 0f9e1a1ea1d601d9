"""What a person reads at the end of a build that succeeded: what was made, how, and what to ask next."""

from __future__ import annotations

from typing import Final

from strake_api.models.verification import CheckResult
from strake_api.result import BuildFailed, BuildSucceeded
from strake_builder.progress.transfer_lines import size_text

_SHORT: Final = 0.05
"""Seconds of a phase that is worth a word: what would be shown as 0.0 is not."""


def summary_lines(result: BuildSucceeded | BuildFailed) -> list[str]:
    """Return lines about a build; none for one that failed, whose error tells the rest."""
    if isinstance(result, BuildFailed):
        return []
    spent = result.durations
    phases = (("source", spent.source), ("pull", spent.pull), ("build", spent.build), ("push", spent.push))
    shown = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases if (seconds or 0.0) >= _SHORT)
    lines = [f"done in {spent.total:.1f} s" + (f" ({shown})" if shown else "")]
    steps, sizes = result.steps, result.sizes
    if steps.run + steps.cached:
        counted = _count(steps.run + steps.cached, "step")
        lines.append(f"{counted}: {steps.cached} from the cache, {steps.run} run")
    if result.digest is not None:
        lines.append(
            f"{size_text(sizes.compressed)} in {_count(result.layers, 'layer')}, "
            f"{size_text(sizes.pushed)} pushed, {size_text(sizes.pulled)} pulled"
        )
        lines += [
            f"{each.outcome.lower()}: {each.kind} {each.name}{_for(each)}" for each in result.verification
        ]
        if result.references:
            lines.append(f"next: strake inspect {result.references[0]}")
        lines.append(result.digest)
    return lines


def _for(check: CheckResult) -> str:
    return f" for {check.platform}" if check.platform else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
