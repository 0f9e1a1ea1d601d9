"""What the watches know: kept small, given back as runs, replaced by fresh reads."""

from __future__ import annotations

import json

from strake_operator.isolation import PodForm
from strake_operator.kube.reading import read_run
from strake_operator.kube.watched import Watched, slim
from strake_operator.names import job_name
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import build

RUN = job_name("hello", "uid-1", 1, 1)
MOMENT = "2026-11-22T12:00:00Z"


def owner(kind, uid):
    return [{"apiVersion": "x/v1", "kind": kind, "name": "n" * 200, "uid": uid, "controller": True}]


def job(name=RUN, uid="uid-1", **status):
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "ownerReferences": owner("ImageBuild", uid),
            "namespace": "team",
            "creationTimestamp": MOMENT,
            "labels": {"strake.dev/uid": uid, "strake.dev/run": "1", "strake.dev/attempt": "1"},
            "annotations": {"strake.dev/imagebuild": "hello", "other": "x" * 9000},
            "managedFields": ["x" * 9000],
        },
        "spec": {"template": "x" * 9000},
        "status": status,
    }


def pod(name=f"{RUN}-abcde", its_job=RUN, uid="uid-1", phase="Pending"):
    made = job(
        name, uid, phase=phase, containerStatuses=[{"name": "other"}, {"name": "builder", "state": {}}]
    )
    made["metadata"]["ownerReferences"] = owner("Job", f"uid-of-{its_job}")
    return made


def warning(about=RUN, kind="Job", message="Error creating: no", name="e1"):
    return {
        "metadata": {"name": name, "creationTimestamp": MOMENT},
        "involvedObject": {"kind": kind, "namespace": "team", "name": about},
        "reason": "FailedCreate",
        "message": message,
        "lastTimestamp": MOMENT,
    }


def test_little_is_kept_of_an_object():
    assert len(json.dumps(slim(job()))) < 700
    assert len(json.dumps(slim(pod()))) < 800


def test_a_run_with_its_pod_and_its_warnings():
    watched = Watched()
    watched.job(job())
    watched.pod(pod())
    assert watched.warning(warning()) == ("team", "hello")
    (run,) = watched.runs(build())
    assert (run.job, present(run.pod).name) == (RUN, f"{RUN}-abcde")
    assert [each.message for each in run.problems] == ["Error creating: no"]


def test_what_is_gone_is_forgotten():
    watched = Watched()
    watched.job(job())
    watched.warning(warning())
    watched.warning(warning(), gone=True)
    assert watched.runs(build())[0].problems == ()
    watched.job(job(), gone=True)
    assert watched.runs(build()) == ()


def test_a_warning_may_come_before_its_job():
    watched = Watched()
    assert watched.warning(warning()) is None
    watched.job(job())
    assert watched.runs(build())[0].problems


def test_warnings_about_others_are_not_kept():
    watched = Watched()
    assert watched.warning(warning("web-5d9c", "Pod")) is None
    assert watched.warning(warning(RUN, "Node")) is None
    watched.job(job())
    assert watched.runs(build())[0].problems == ()


def test_a_fresh_read_replaces_what_was_missed():
    watched = Watched()
    watched.job(job(f"{RUN}-2"))
    watched.replace(build(), [job()], [pod()])
    assert [run.job for run in watched.runs(build())] == [RUN]


def test_pods_of_a_deleted_build_of_the_name():
    watched, before = Watched(), job_name("hello", "uid-0", 1, 1)
    watched.pod(pod(f"{before}-abcde", before, uid="uid-0", phase="Running"))
    watched.pod(pod(f"{before}-overx", before, uid="uid-0", phase="Succeeded"))
    watched.pod(pod())
    assert [each.name for each in watched.predecessors(build())] == [f"{before}-abcde"]
    watched.keep_predecessors(build(), [])
    assert watched.predecessors(build()) == ()
    watched.job(job())
    assert watched.runs(build())[0].pod is not None


def test_no_pod_with_labels_alone_keeps_a_build_from_starting():
    watched, before = Watched(), job_name("hello", "uid-0", 1, 1)
    unowned = pod(f"{before}-abcde", before, uid="uid-0", phase="Running")
    unowned["metadata"]["ownerReferences"] = []
    unlabelled = pod(f"{before}-abcdf", before, uid="uid-0", phase="Running")
    unlabelled["metadata"]["labels"] = {"strake.dev/uid": "uid-0"}
    for each in (unowned, unlabelled, pod("other", before, uid="uid-0", phase="Running")):
        watched.pod(each)
    assert watched.predecessors(build()) == ()


def test_what_others_make_is_no_run():
    watched = Watched()
    watched.job(job("important"))
    unowned = job(f"{RUN}-masked")
    unowned["metadata"]["ownerReferences"] = []
    watched.job(unowned)
    assert watched.runs(build()) == ()


def test_rivals_share_a_destination_and_a_namespace():
    watched = Watched()
    mine = ("r.example/a:1", "r.example/b:1")
    watched.build("team", "hello", mine, ended=False)
    watched.build("team", "other", ("r.example/b:1",), ended=False)
    watched.build("elsewhere", "other", mine, ended=False)
    assert watched.rivals(build(), mine) == (("r.example/b:1", "other"),)
    watched.build("team", "other", None, ended=False)
    assert watched.rivals(build(), mine) == ()


def test_which_builds_go_on():
    watched = Watched()
    assert not watched.is_open("team", "hello")
    watched.build("team", "hello", (), ended=False)
    assert watched.is_open("team", "hello")
    watched.build("team", "hello", (), ended=True)
    assert not watched.is_open("team", "hello")
    watched.build("team", "hello", (), ended=False)
    watched.build("team", "hello", None, ended=False)
    assert not watched.is_open("team", "hello")


def goes_on(*names):
    return {("team", name) for name in names}


def test_which_builds_have_a_place():
    watched = Watched()
    watched.build("team", "hello", (), ended=False)
    assert watched.running() == set()
    watched.job(job())
    assert watched.running() == goes_on("hello")
    watched.job(job(conditions=[{"type": "FailureTarget", "status": "True"}]))
    assert watched.running() == goes_on("hello"), "its pod still ends"
    watched.job(job(conditions=[{"type": "Failed", "status": "True"}]))
    assert watched.running() == set()
    watched.job({**job(), "spec": {"suspend": True}})
    assert watched.running() == set(), "an external queue has it"
    watched.replace(build(), [job()], [])
    assert watched.running() == goes_on("hello")
    watched.build("team", "hello", (), ended=True)
    assert watched.running() == set(), "its result is known"
    watched.build("team", "hello", (), ended=False)
    watched.job(job(), gone=True)
    assert watched.running() == set()


def test_a_job_of_nobody_has_no_place():
    watched = Watched()
    watched.job(job())
    assert watched.running() == set(), "who may make Jobs must not take the places of others"


def test_what_went_on_at_the_start_counts_until_more_is_known():
    ended = job(conditions=[{"type": "Complete", "status": "True"}])
    watched = Watched()
    watched.found_at_start([job(), ended])
    assert watched.running() == goes_on("hello")
    watched.build("team", "hello", (), ended=False)
    assert watched.running() == goes_on("hello")
    watched.job(ended)
    assert watched.running() == set()
    watched.found_at_start([job()])
    watched.build("team", "hello", (), ended=True)
    assert watched.running() == set()
    watched.found_at_start([job(), ended])
    watched.settle()
    assert watched.running() == set()


def test_the_form_of_a_run_is_kept_as_the_api_server_has_it():
    """The operator decides from both, and must find the same."""
    made, its_pod = job(f"{RUN}-chroot"), pod(f"{RUN}-chroot-abcde", f"{RUN}-chroot")
    made["metadata"]["labels"]["strake.dev/isolation"] = "chroot"
    made["metadata"]["annotations"]["strake.dev/isolation-reason"] = "on node n1: no"
    its_pod["spec"]["nodeName"] = "n1"
    watched = Watched()
    watched.job(made)
    watched.pod(its_pod)
    watched.warning(warning(f"{RUN}-chroot"))
    (run,) = watched.runs(build())
    assert run == read_run(made, [its_pod], build(), run.problems)
    assert (run.form, run.why, present(run.pod).node) == (PodForm.CHROOT, "on node n1: no", "n1")
    assert len(run.problems) == 1


def test_a_job_from_before_there_were_forms_has_the_first():
    watched = Watched()
    watched.job(job())
    (run,) = watched.runs(build())
    assert (run.form, run.why) == (PodForm.NESTED, None)
