import pytest
from prometheus_client import CollectorRegistry

from strake_api.status import Failure, ImageBuildStatus, ImageSizes, Phase, Steps
from strake_operator.image_sizes import MOST_BYTES
from strake_operator.metrics.runs import MOST_NAMESPACES, OTHERS, RunMetrics

BUILD = ("team", "app")
PENDING = ImageBuildStatus(phase=Phase.PENDING, start_time="2026-11-28T10:00:00Z")
BUILDING = PENDING.model_copy(update={"phase": Phase.BUILDING})
SUCCEEDED = BUILDING.model_copy(
    update={
        "phase": Phase.SUCCEEDED,
        "completion_time": "2026-11-28T10:00:42Z",
        "steps": Steps(total=5, done=5, cached=3),
    }
)
FAILED = SUCCEEDED.model_copy(
    update={"phase": Phase.FAILED, "failure": Failure(reason="RunStepFailed", message="exit code 1")}
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics(registry, clock):
    return RunMetrics(registry, clock)


def ended(registry, namespace="team", phase="Succeeded", reason="Pushed"):
    return registry.get_sample_value(
        "strake_runs_total", {"namespace": namespace, "phase": phase, "reason": reason}
    )


def test_a_run_counts_once_when_it_ends(metrics, registry):
    metrics.changed(BUILD, ImageBuildStatus(), PENDING)
    metrics.changed(BUILD, PENDING, SUCCEEDED)
    metrics.changed(BUILD, SUCCEEDED, SUCCEEDED.model_copy(update={"warnings": ("tidied up",)}))
    assert ended(registry) == 1
    assert registry.get_sample_value("strake_run_seconds_sum", {"phase": "Succeeded"}) == 42


def test_a_second_run_that_ends_alike_counts_too(metrics, registry):
    later = SUCCEEDED.model_copy(update={"completion_time": "2026-11-28T11:00:00Z"})
    metrics.changed(BUILD, BUILDING, SUCCEEDED)
    metrics.changed(BUILD, SUCCEEDED, later)
    assert ended(registry) == 2


def test_a_failure_counts_by_its_reason(metrics, registry):
    metrics.changed(BUILD, BUILDING, FAILED)
    assert ended(registry, phase="Failed", reason="RunStepFailed") == 1


def test_steps_count_by_where_they_came_from(metrics, registry):
    metrics.changed(BUILD, BUILDING, SUCCEEDED)
    found = {s: registry.get_sample_value("strake_steps_total", {"source": s}) for s in ("run", "cache")}
    assert found == {"run": 2, "cache": 3}


def test_time_in_a_phase_is_from_entering_it_to_leaving_it(metrics, registry, clock):
    metrics.changed(BUILD, ImageBuildStatus(), PENDING)
    clock.now += 3
    metrics.changed(BUILD, PENDING, PENDING.model_copy(update={"progress": "still"}))
    clock.now += 4
    metrics.changed(BUILD, PENDING, BUILDING)
    assert registry.get_sample_value("strake_run_phase_seconds_sum", {"phase": "Pending"}) == 7
    assert registry.get_sample_value("strake_run_phase_seconds_count", {"phase": "Building"}) is None


@pytest.mark.parametrize("end", [SUCCEEDED, FAILED, None])
def test_a_run_is_open_until_it_ends_or_its_build_is_gone(metrics, registry, end):
    metrics.changed(BUILD, ImageBuildStatus(), BUILDING)
    metrics.changed(("team", "other"), ImageBuildStatus(), BUILDING)
    if end is None:
        metrics.forget(BUILD)
    else:
        metrics.changed(BUILD, BUILDING, end)
    assert registry.get_sample_value("strake_runs_open", {"phase": "Building"}) == 1


def test_namespaces_beyond_the_bound_share_a_series(metrics, registry):
    for number in range(MOST_NAMESPACES + 3):
        metrics.changed((f"n{number}", "app"), BUILDING, SUCCEEDED)
    metrics.changed(("n0", "app"), BUILDING, SUCCEEDED)
    assert ended(registry, OTHERS) == 3
    assert ended(registry, "n0") == 2


@pytest.mark.parametrize(
    ("sizes", "pulled", "pushed"),
    [
        (ImageSizes(compressed=9, pulled=100, pushed=50), 200, 100),
        (ImageSizes(pulled=2**63, pushed=-5), 2 * MOST_BYTES, 0),
    ],
    ids=["a builder's", "written by hand"],
)
def test_bytes_add_up_and_never_go_back(metrics, registry, sizes, pulled, pushed):
    for number in range(2):
        over = SUCCEEDED.model_copy(
            update={"sizes": sizes, "completion_time": f"2026-11-28T10:00:4{number}Z"}
        )
        metrics.changed(BUILD, BUILDING, over)
    found = [
        registry.get_sample_value("strake_image_bytes_total", {"direction": each})
        for each in ("pulled", "pushed")
    ]
    assert found == [pulled, pushed]
