"""What each command prints, asks for, and ends with."""

from __future__ import annotations

import json
import sys
import threading

import pytest
import yaml

from strake_builder.cli.main import main
from strake_kubectl.commands import logs
from tests.fixtures.servers.api_server import status
from tests.unit.strake_kubectl.conftest import DIGEST, IMAGE, building, failed, imagebuild, pod, succeeded


def test_get_is_a_table_like_kubectls(strake, api):
    api.put(succeeded())
    api.put(building("web"))
    lines = strake("get").out.splitlines()
    assert lines[0].split() == ["NAME", "PHASE", "REASON", "RUN", "PROGRESS", "IMAGE", "AGE"]
    assert lines[1].split()[:5] == ["api", "Succeeded", "Pushed", "3", IMAGE]
    assert lines[2].split()[:5] == ["web", "Building", "Building", "3", "2/5"]
    assert strake("get", "web", "-o", "wide").out.splitlines()[1].endswith("step 2 of 5")


def test_get_is_for_programs_too(strake, api):
    api.put(succeeded())
    assert strake("get", "-o", "name").out == "imagebuild.strake.dev/api\n"
    assert json.loads(strake("get", "api", "-o", "json").out)["metadata"]["name"] == "api"
    listed = yaml.safe_load(strake("get", "-o", "yaml").out)
    assert (listed["kind"], listed["items"][0]["kind"]) == ("List", "ImageBuild")


def test_get_of_other_namespaces(strake, api):
    api.put(succeeded())
    other = succeeded("web")
    other["metadata"]["namespace"] = "other"
    api.put(other)
    assert [line.split()[:2] for line in strake("get", "-A").out.splitlines()[1:]] == [
        ["team", "api"],
        ["other", "web"],
    ]
    assert strake("get", "-n", "other").out.splitlines()[1].split()[0] == "web"
    assert strake("get", "-n", "empty").err == "No ImageBuilds found in namespace empty.\n"


def test_describe_tells_what_where_why_and_what_next(strake, api):
    failure = {
        "reason": "RunStepFailed",
        "message": "make ended with 2",
        "file": "Dockerfile",
        "line": 7,
        "instruction": "RUN make",
        "logTail": "cc app.c\napp.c:1: error",
    }
    history = [
        {
            "number": 3,
            "generation": 2,
            "phase": "Failed",
            "reason": "RunStepFailed",
            "completionTime": "2026-11-29T10:00:00Z",
        }
    ]
    api.put(
        failed(
            failure=failure, job="api-1-3", startTime="2026-11-29T09:59:00Z", duration="1m", history=history
        )
    )
    shown = strake("describe", "api").out
    assert shown.startswith("team/api: Failed, RunStepFailed\n")
    assert "What     run 3 of generation 2, for the spec" in shown
    assert "from https://git.example/api at main" in shown
    assert "Where    Job api-1-3" in shown
    assert "Why      Dockerfile:7: RUN make" in shown
    assert "  | app.c:1: error" in shown
    assert "Next     see the end of the command's output, and the log" in shown
    assert "kubectl strake rerun api -n team" in shown
    assert "History  3  Failed  RunStepFailed" in shown
    assert len(shown.splitlines()) < 25


def test_describe_tells_whose_image_it_is_and_a_digest_once(strake, api):
    build = failed(image=IMAGE, source={"digest": DIGEST})
    build["spec"]["source"] = {"oci": {"reference": f"r.example/team/context@{DIGEST}"}}
    api.put(build)
    shown = strake("describe", "api").out
    assert f"from the artifact r.example/team/context@{DIGEST}\n" in shown
    assert f"image {IMAGE}, of an earlier run\n" in shown
    api.put(succeeded())
    assert f"image {IMAGE}\n" in strake("describe", "api").out


def test_describe_tells_how_each_check_ended(strake, api):
    counts = {"critical": 1, "high": 2, "ignored": 3}
    checks = [
        {"name": "smoke", "kind": "test", "outcome": "Passed", "platform": "linux/arm64"},
        {"name": "cves", "kind": "scan", "outcome": "Warned", "findings": counts, "policy": "scanned"},
        {"name": "more", "kind": "scan", "outcome": "Passed", "findings": {}},
    ]
    api.put(succeeded(verification=checks))
    shown = strake("describe", "api").out
    assert "test smoke for linux/arm64: passed\n" in shown
    assert "scan cves of BuildPolicy scanned: warned: 1 critical, 2 high, 3 ignored\n" in shown
    assert "scan more: passed: no findings\n" in shown


def test_describe_of_a_build_that_no_operator_has_seen(strake, api):
    unseen = imagebuild()
    unseen["status"] = {}
    api.put(unseen)
    shown = strake("describe", "api").out
    assert "not seen by the operator yet" in shown
    assert "the operator has not acted on the last change" in shown


def test_logs_of_a_run_whose_pod_is_there(strake, api):
    api.put(succeeded())
    api.pods += [pod("api-1", 2), pod("api-2", 3)]
    api.logs |= {"api-1": b"the run before\n", "api-2": b"== building\n"}
    assert strake("logs", "api").out == "== building\n"
    assert strake("logs", "api", "--run", "2").out == "the run before\n"
    assert strake("logs", "imagebuild.strake.dev/api", "-f").out == "== building\n"


def test_a_build_of_several_platforms_shows_its_parts(strake, api):
    parts = [
        {"name": "source", "phase": "Succeeded", "job": "api-s", "attempts": 1},
        {"name": "linux/arm64", "phase": "Building", "job": "api-a-2", "attempts": 2},
        {"name": "index"},
    ]
    api.put(building(parts=parts))
    shown = strake("describe", "api").out
    assert "source: Succeeded, Job api-s\n" in shown
    assert "linux/arm64: Building, Job api-a-2, attempt 2\n" in shown
    assert "index:" not in shown


def test_the_kept_logs_of_parts_come_one_after_the_other(strake, api, monkeypatch):
    parts = [
        {"name": "linux/amd64", "log": "r.example/logs@sha256:1"},
        {"name": "index", "log": "r.example/logs@sha256:2"},
    ]
    ended = {"number": 3, "generation": 2, "phase": "Succeeded", "reason": "Pushed", "parts": parts}
    api.put(succeeded(history=[ended]))
    monkeypatch.setattr(logs, "kept_lines", lambda _, reference: [f"{reference[-1]}\n"])
    assert strake("logs", "api").out == "==> linux/amd64 <==\n1\n==> index <==\n2\n"


def test_logs_of_attempts_and_parts_come_one_after_the_other(strake, api):
    api.put(succeeded())
    first, second = "2026-11-29T10:00:00Z", "2026-11-29T10:01:00Z"
    api.pods += [pod("b", created=second), pod("a", created=first, part="linux-arm64")]
    api.logs |= {"a": b"one\n", "b": b"two\n"}
    assert strake("logs", "api").out == "==> linux-arm64 <==\none\n==> b <==\ntwo\n"


@pytest.mark.parametrize(
    ("history", "run", "words"),
    [
        ([], "9", "api has no run 9"),
        ([], "3", "run 3 of api has no log yet"),
        (
            [{"number": 2, "generation": 1, "phase": "Failed", "reason": "Evicted"}],
            "2",
            "the platform keeps no logs",
        ),
        (
            [
                {
                    "number": 2,
                    "generation": 1,
                    "phase": "Failed",
                    "reason": "Evicted",
                    "logFailure": "it was refused",
                }
            ],
            "2",
            "it was refused",
        ),
    ],
)
def test_logs_that_are_not_there(strake, api, history, run, words):
    api.put(building(history=history))
    done = strake("logs", "api", "--run", run)
    assert (done.status, done.out) == (1, "")
    assert words in done.err


def test_a_rerun_and_a_cancel_ask_by_a_new_value(strake, api):
    api.put(building())
    values = set()
    for _ in range(2):
        assert strake("rerun", "api").out == "imagebuild.strake.dev/api rerun requested\n"
        values.add(api.builds["team", "api"]["metadata"]["annotations"]["strake.dev/rerun"])
    assert len(values) == 2
    assert strake("cancel", "api").out == "imagebuild.strake.dev/api cancel requested\n"
    assert "strake.dev/cancel" in api.builds["team", "api"]["metadata"]["annotations"]
    assert any("fieldManager=kubectl-strake" in each for each in api.asked)


def test_a_cancel_of_what_has_ended_asks_for_nothing(strake, api):
    api.put(succeeded())
    assert strake("cancel", "api").out == "imagebuild.strake.dev/api has no run to cancel: Succeeded\n"
    assert api.builds["team", "api"]["metadata"]["annotations"] == {}


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (succeeded(), 0),
        (failed(), 7),
        (failed(reason="PushUnauthorized"), 9),
        (failed(reason="Evicted"), 1),
        (failed(reason="OfALaterVersion"), 1),
    ],
    ids=["succeeded", "a command", "the push", "an eviction", "a later version"],
)
def test_wait_ends_as_strake_build_would(strake, api, build, code):
    api.put(build)
    assert strake("wait", "api").status == code


def test_wait_is_for_what_was_asked_for_last(strake, api):
    """The status of the run before says Finished until the operator has seen the rerun."""
    asked = succeeded()
    asked["metadata"]["annotations"] = {"strake.dev/rerun": "now"}
    api.put(asked)
    done = strake("wait", "api", "--timeout", "1s")
    assert (done.status, "did not end in time" in done.err) == (1, True)

    handled = failed(lastHandled={"rerun": "now"})
    handled["metadata"]["annotations"] = {"strake.dev/rerun": "now"}
    timer = threading.Timer(0.5, api.put, [handled])
    timer.start()
    assert strake("wait", "api").status == 7
    timer.join()


@pytest.mark.parametrize(
    "words",
    [
        ["get", "web"],
        ["describe", "web"],
        ["logs", "web"],
        ["rerun", "web"],
        ["cancel", "web"],
        ["wait", "web"],
    ],
    ids=" ".join,
)
def test_a_build_that_is_not_there(strake, words):
    done = strake(*words)
    assert done.status == 1
    assert 'imagebuilds.strake.dev "web" not found' in done.err
    assert "-n for the namespace" in done.err


def test_a_cluster_without_strake(strake, api):
    api.refusals["GET", "/imagebuilds"] = (404, {})
    done = strake("get")
    assert done.err.startswith("error: this cluster has no ImageBuilds: Strake is not installed\n")


def test_what_the_caller_may_not(strake, api):
    api.put(succeeded())
    api.refusals["PATCH", "/api"] = (403, status("Forbidden", 'User "me" cannot patch', name="api"))
    done = strake("rerun", "api")
    assert done.status == 1
    assert 'cannot change ImageBuild api: User "me" cannot patch' in done.err


def test_a_token_that_is_not_taken(strake, api, tmp_path):
    path = api.kubeconfig(tmp_path / "other", token="expired")
    done = strake("get", "--kubeconfig", str(path))
    assert "the cluster does not take your credentials" in done.err
    assert "expired" not in done.err


def test_no_kubeconfig_and_no_such_context(strake, tmp_path, monkeypatch):
    assert "no context 'elsewhere'" in strake("get", "--context", "elsewhere").err
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = strake("get", "--kubeconfig", str(tmp_path / "missing"))
    assert done.status == 1
    assert done.err.startswith("error: there is no cluster to speak to")


def test_a_cluster_that_does_not_answer(strake, api, tmp_path):
    api.url = "http://127.0.0.1:1"
    done = strake("get", "--kubeconfig", str(api.kubeconfig(tmp_path / "gone")))
    assert "error: cannot reach the cluster at http://127.0.0.1:1" in done.err


def test_what_is_no_json(strake, api, tmp_path):
    api.builds["team", "api"] = "<html>"  # what a proxy says of itself
    done = strake("get", "api")
    assert (done.status, done.err) == (
        1,
        "error: cannot get ImageBuild api: the API server's answer is no object\n",
    )


def test_without_the_library_it_says_what_to_install(strake, monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    done = strake("get")
    assert done.status == 1
    assert "pip install 'strake[kubectl]'" in done.err
    made = strake("create", "api", "--oci", "r.example/c:1", "-t", "r.example/a:1", "--dry-run=client")
    assert made.status == 0, "what asks no cluster needs none"


def test_strake_ib_is_the_same_program(api, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "kubeconfig")))
    api.put(succeeded())
    with pytest.raises(SystemExit) as ended:
        main(["ib", "get", "-o", "name"])
    assert (ended.value.code, capsys.readouterr().out) == (0, "imagebuild.strake.dev/api\n")
    with pytest.raises(SystemExit):
        main(["ib", "logs", "--help"])
    assert "usage: strake ib logs" in capsys.readouterr().out


def test_a_log_that_a_proxy_ends_goes_on_where_it_ended(strake, api):
    api.put(building())
    api.pods.append(pod("api-1", state="running"))
    api.cut["api-1"] = [b"one\ntw", b"one\ntwo\nthr", b"one\ntwo\nthree\n"]
    timer = threading.Timer(0.5, api.put, [succeeded()])
    timer.start()
    done = strake("logs", "-f", "api")
    timer.join()
    assert (done.status, done.out) == (0, "one\ntwo\nthree\n")
