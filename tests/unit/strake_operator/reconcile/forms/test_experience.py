"""What a run begins with, from what nodes and namespaces gave before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from strake_operator.handlers.experience import Experience
from strake_operator.isolation import PodForm
from strake_operator.reconcile.forms.experience import (
    LONGEST_REASON,
    REMEMBERED_SECONDS,
    Lesson,
    beginning,
    shown_reason,
)
from tests.unit.strake_operator.builders import NOW


def node(name, form, why="on node x: no"):
    return Lesson(name, "team", form, why)


def rule(namespace, form):
    return Lesson(None, namespace, form, "a rule")


def begins(*lessons, namespace="team", setting="auto"):
    return beginning(lessons, namespace, setting).form


def test_a_cluster_that_nobody_tried():
    assert begins() is PodForm.NESTED
    assert begins(setting="nested") is PodForm.NESTED
    assert begins(setting="chroot") is PodForm.CHROOT


def test_where_no_node_that_was_tried_gives_a_nested_pod_none_is_asked_for():
    found = beginning([node("a", PodForm.CHROOT), node("b", PodForm.HOST_USERS)], "team", "auto")
    assert found.form is PodForm.CHROOT
    assert found.why == "no node gave a better one lately: on node x: no"


def test_one_node_that_gives_a_nested_pod_is_reason_enough_to_ask():
    assert begins(node("a", PodForm.CHROOT), node("b", PodForm.NESTED, None)) is PodForm.NESTED


def test_a_rule_holds_in_its_namespace_whatever_the_node():
    lessons = (node("a", PodForm.NESTED, None), rule("team", PodForm.MASKED))
    assert begins(*lessons) is PodForm.MASKED
    assert begins(*lessons, namespace="other") is PodForm.NESTED


def test_no_namespace_makes_the_builds_of_another_less_strict():
    assert begins(node("a", PodForm.HOST_USERS), rule("team", PodForm.CHROOT), namespace="other") is (
        PodForm.NESTED
    )


def test_what_one_runtime_refuses_another_is_asked():
    sandboxed = replace(node("a", PodForm.HOST_USERS), runtime_class="gvisor")
    assert beginning([sandboxed], "team", "auto").form is PodForm.NESTED
    assert beginning([sandboxed], "team", "auto", "kata").form is PodForm.NESTED
    assert beginning([sandboxed], "team", "auto", "gvisor").form is PodForm.HOST_USERS
    kept = Experience("auto")
    kept.note(sandboxed, NOW)
    kept.note(node("a", PodForm.NESTED, None), NOW)
    assert kept.beginning("team", "gvisor", NOW).form is PodForm.HOST_USERS
    assert kept.beginning("team", None, NOW).form is PodForm.NESTED


def test_what_the_platform_does_not_allow_is_not_learned():
    assert begins(node("a", PodForm.CHROOT), setting="nested") is PodForm.NESTED
    assert begins(node("a", PodForm.NESTED, None), setting="chroot") is PodForm.CHROOT
    assert begins(node("a", PodForm.HOST_USERS), setting="chroot") is PodForm.HOST_USERS


def test_lessons_are_forgotten_and_replaced():
    kept = Experience("auto")
    kept.note(node("a", PodForm.CHROOT), NOW)
    assert (
        kept.beginning("team", None, NOW + timedelta(seconds=REMEMBERED_SECONDS - 1)).form is PodForm.CHROOT
    )
    assert kept.beginning("team", None, NOW + timedelta(seconds=REMEMBERED_SECONDS)).form is PodForm.NESTED
    kept.note(node("a", PodForm.CHROOT), NOW)
    kept.note(node("a", PodForm.NESTED, None), NOW)
    assert kept.beginning("team", None, NOW).form is PodForm.NESTED


def test_a_reason_fits_into_a_status():
    assert shown_reason("n1", "not\n  permitted ") == "on node n1: not permitted"
    assert len(shown_reason(None, "x" * 5000)) == LONGEST_REASON
