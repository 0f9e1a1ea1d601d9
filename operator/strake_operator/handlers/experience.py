"""Keeps what nodes and namespaces gave to builder pods, for as long as it holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from strake_operator.reconcile.experience import REMEMBERED_SECONDS, Beginning, Lesson, beginning

if TYPE_CHECKING:
    from strake_operator.isolation import IsolationSetting


class Experience:
    """Lessons about isolation. A restarted operator has none, which costs a build some seconds.

    Args:
        setting: What the platform allows.
    """

    def __init__(self, setting: IsolationSetting) -> None:
        self._setting = setting
        self._lessons: dict[tuple[str, str | None, str | None], tuple[datetime, Lesson]] = {}

    def note(self, lesson: Lesson, now: datetime) -> None:
        """Keep a lesson; it replaces an older one of the same namespace, RuntimeClass and node."""
        self._lessons[lesson.namespace, lesson.runtime_class, lesson.node] = (now, lesson)

    def beginning(self, namespace: str, runtime_class: str | None, now: datetime) -> Beginning:
        """Return the form that a run in a namespace begins with, of the RuntimeClass that its build names."""
        oldest = now - timedelta(seconds=REMEMBERED_SECONDS)
        self._lessons = {place: each for place, each in self._lessons.items() if each[0] > oldest}
        lessons = [lesson for _, lesson in self._lessons.values()]
        return beginning(lessons, namespace, self._setting, runtime_class)
