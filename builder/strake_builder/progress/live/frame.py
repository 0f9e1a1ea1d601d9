"""Draws what a build does at the moment, as rows that fit a terminal.

Texts are `rich.text.Text` and never markup, so that `[red]` in a step's output is six characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from strake_builder.progress.live.state import TAIL, BuildState, Moving
from strake_builder.progress.transfer_lines import size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR: Final = 20
"""Columns of a bar."""
_WIDE: Final = 70
"""Columns from which on there is room for bars."""
_MINUTE: Final = 60
_Row = tuple["RenderableType", "RenderableType", "RenderableType"]


def frame(state: BuildState, now: float, width: int, height: int) -> RenderableType:
    """Return the rows: what the build is at, bytes on their way, the steps that run with their last lines.

    Args:
        state: of the build.
        now: seconds, of the clock that the state has.
        width: columns of the terminal.
        height: rows of the terminal; one fewer is drawn at most, of which the last one is empty.
    """
    room = max(height - 2, 1)
    rows: list[_Row] = [_head(state, now)]
    transfers, shown = list(state.moving.values()), max((room - 1) // 3, 0)
    rows += [_transfer(each, now, width) for each in _first(transfers, shown)]
    if len(transfers) > shown > 0:
        rows.append(_note(f"… {len(transfers) - shown + 1} more transfers"))
    steps = _steps(state, now, room - len(rows))
    # The cursor stands in an empty row: what a person types (^C) would wrap at the end of a full one, and
    # where the kernel kills the builder, the shell goes on there.
    return Group(_grid(rows[:room], width), *([_grid(steps, width)] if steps else []), Text(""))


def _grid(rows: list[_Row], width: int) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    for row in rows:
        table.add_row(*row)
    table.width = max(width - 1, 1)  # what fills a row to its last column wraps in some terminals
    return table


def _first(transfers: list[Moving], shown: int) -> list[Moving]:
    return transfers if len(transfers) <= shown else transfers[: max(shown - 1, 0)]


def _steps(state: BuildState, now: float, room: int) -> list[_Row]:
    steps = list(state.running.values())
    shown = steps if len(steps) <= room else steps[: max(room - 1, 0)]
    lines = min(TAIL, (room - len(shown)) // len(shown)) if shown and len(shown) == len(steps) else 0
    rows = list[_Row]()
    for step in shown:
        title = Text(step.title, style="cyan")
        rows.append((title, "", Text(elapsed(now - step.began))))
        tail = list(step.tail)[-lines:] if lines > 0 else []
        rows += [_note(f"   | {line}") for line in tail]
    if len(shown) < len(steps) and room > 0:
        rows.append(_note(f"… {len(steps) - len(shown)} more steps run"))
    return rows


def _head(state: BuildState, now: float) -> _Row:
    steps = f", {min(state.ended, state.total)} of {state.total} steps" if state.total else ""
    return Text(f"{state.phase}{steps}", style="bold"), "", Text(elapsed(now - state.began))


def _transfer(moving: Moving, now: float, width: int) -> _Row:
    amount = size_text(moving.done) + (f" of {size_text(moving.total)}" if moving.total is not None else "")
    bar: RenderableType = ""
    if width >= _WIDE:
        bar = ProgressBar(
            moving.total, moving.done, width=_BAR, pulse=moving.total is None, animation_time=now
        )
    return Text(f"   {moving.verb} {moving.name}"), bar, Text(amount)


def _note(text: str) -> _Row:
    return Text(text, style="dim"), "", ""


def elapsed(seconds: float) -> str:
    """Return a duration as people read it while it grows."""
    if seconds < _MINUTE:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(int(seconds), _MINUTE)
    return f"{minutes} min {rest:02d} s"
