"""What an API server has, from its discovery documents."""

from tests.cluster.discovery import Resource, resources

CORE = {
    "items": [
        {
            "metadata": {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "pods",
                            "responseKind": {"kind": "Pod"},
                            "scope": "Namespaced",
                            "singularResource": "pod",
                            "shortNames": ["po"],
                        },
                        {"resource": "nodes", "responseKind": {"kind": "Node"}, "scope": "Cluster"},
                    ],
                }
            ],
        }
    ]
}
GROUPS = {
    "items": [
        {
            "metadata": {"name": "batch"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {"resource": "jobs", "responseKind": {"kind": "Job"}, "scope": "Namespaced"}
                    ],
                },
                {"version": "v1beta1"},
            ],
        }
    ]
}


def found(word: str) -> Resource:
    (one,) = (each for each in resources([CORE, GROUPS]) if word in each.names)
    return one


def test_kinds_are_found_by_each_of_their_names():
    assert {found(word).kind for word in ("pods", "pod", "po")} == {"Pod"}
    assert {found(word).kind for word in ("jobs", "job", "jobs.batch")} == {"Job"}


def test_paths():
    assert found("po").path("team", "a") == "/api/v1/namespaces/team/pods/a"
    assert found("po").path("team") == "/api/v1/namespaces/team/pods"
    assert found("job").path("team", "a") == "/apis/batch/v1/namespaces/team/jobs/a"
    assert found("node").path("ignored", "n") == "/api/v1/nodes/n"
