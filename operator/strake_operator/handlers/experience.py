"""Keeps what nodes and namespaces gave to builder pods, for as long as it holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from strake_operator.reconcile.forms.bases import BaseLesson
from strake_operator.reconcile.forms.experience import REMEMBERED_SECONDS, Beginning, Lesson, beginning

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
        self._bases: dict[BaseLesson, datetime] = {}

    def note(self, lesson: Lesson | BaseLesson, now: datetime) -> None:
        """Keep a lesson; it replaces an older one of the same namespace, RuntimeClass and node, or volume."""
        match lesson:
            case Lesson():
                self._lessons[lesson.namespace, lesson.runtime_class, lesson.node] = (now, lesson)
            case BaseLesson():
                self._bases[lesson] = now
            case _:
                assert_never(lesson)

    def refused_bases(self, namespace: str, now: datetime) -> frozenset[str | None]:
        """Return the base images that pods of a namespace did not get lately; None stands for all."""
        oldest = now - timedelta(seconds=REMEMBERED_SECONDS)
        self._bases = {lesson: noted for lesson, noted in self._bases.items() if noted > oldest}
        return frozenset(each.reference for each in self._bases if each.namespace == namespace)

    def beginning(
        self,
        namespace: str,
        runtime_class: str | None,
        now: datetime,
        setting: IsolationSetting | None = None,
    ) -> Beginning:
        """Return the form that a run in a namespace begins with, of the RuntimeClass that its build names.

        Args:
            namespace: The build's.
            runtime_class: That its spec names.
            now: The present.
            setting: What the namespace is allowed; what the platform allows where None.
        """
        oldest = now - timedelta(seconds=REMEMBERED_SECONDS)
        self._lessons = {place: each for place, each in self._lessons.items() if each[0] > oldest}
        lessons = [lesson for _, lesson in self._lessons.values()]
        return beginning(lessons, namespace, setting or self._setting, runtime_class)
