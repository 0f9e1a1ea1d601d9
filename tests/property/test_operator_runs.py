"""Whatever order asks, results and crashes come in: one Job for a run, no run without an ask, no result lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_api.spec.retention import Retention
from strake_api.status import CreatedObjects, ImageBuildStatus, Phase
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import Decision, StartRun, StopRun
from strake_operator.reconcile.observed import BuilderRun, Observation, Running
from strake_operator.reconcile.origin import sort_out
from strake_operator.reconcile.runs import number_of
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import (
    FAILURE,
    NOW,
    SETTINGS,
    SUCCESS,
    build,
    ended,
    pod,
    run,
    spec_of,
)

BUSY = BuildFailed(reason=FailureReason.PUSH_FAILED, message="503", temporary=True)
ENDS = {
    "pushed": pod(ended(SUCCESS.to_json(), exit_code=0)),
    "failed": pod(ended(FAILURE.to_json())),
    "busy": pod(ended(BUSY.to_json())),
    "evicted": pod(phase="Failed", disrupted="drain"),
}
RETRIES = 3
KEPT = Retention(successful_runs=2, failed_runs=1)
VALUES = st.sampled_from([None, "a", "b", "c"])
EVENTS = st.one_of(
    st.tuples(st.just("spec"), st.integers(1, 3)),
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("rerun"), VALUES),
    st.tuples(st.just("cancel"), VALUES),
    st.tuples(st.just("end"), st.sampled_from(sorted(ENDS))),
    st.tuples(st.just("gone"), st.none()),
    st.tuples(st.just("wait"), st.none()),
    # How far a reconcile gets before the operator is killed: nowhere, to its first half, to its end.
    st.tuples(st.just("reconcile"), st.integers(0, 2)),
    st.tuples(st.just("reconcile"), st.just(2)),
)


def is_running(job: BuilderRun) -> bool:
    return isinstance(present(job.pod).container, Running)


@dataclass
class World:
    """One ImageBuild, and the Jobs that were made for it."""

    now: datetime = NOW
    generation: int = 1
    target: int = 1
    suspended: bool = False
    rerun: str | None = None
    cancel: str | None = None
    status: ImageBuildStatus = field(default_factory=ImageBuildStatus)
    jobs: dict[str, BuilderRun] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    started: list[tuple[str, int]] = field(default_factory=list)
    asks: int = 1
    finished: list[int | None] = field(default_factory=list)

    def happens(self, what: str, value) -> None:
        self.now += timedelta(seconds=5)
        match what:
            case "spec" if value != self.target:
                self.target, self.generation, self.asks = value, self.generation + 1, self.asks + 1
            case "suspend" if value != self.suspended:
                self.suspended, self.generation = value, self.generation + 1
            case "wait":
                self.now += timedelta(minutes=6)
            case "reconcile":
                self.reconcile(value)
            case _:
                self.happens_to_runs(what, value)

    def happens_to_runs(self, what: str, value) -> None:
        match what:
            case "rerun":
                self.asks += value is not None and value != self.rerun
                self.rerun = value
            case "cancel":
                self.cancel = value
            case "end":
                for job in self.jobs.values():
                    if not job.deleting and is_running(job):
                        self.jobs[job.job] = replace(job, pod=ENDS[value], finished=True)
            case "gone":
                self.jobs = {name: job for name, job in self.jobs.items() if not job.deleting}

    def build(self):
        spec = spec_of(self.target).model_copy(
            update={"suspend": self.suspended, "retries": RETRIES, "retention": KEPT}
        )
        return build(self.status, generation=self.generation, spec=spec, rerun=self.rerun, cancel=self.cancel)

    def decision(self) -> Decision:
        seen = self.build()
        runs, strays = sort_out(self.jobs.values(), seen, self.made)
        return decide(Observation(seen, runs, None, strays=strays), SETTINGS, self.now)

    def reconcile(self, steps: int) -> None:
        """Carry out a decision, or its first steps, after which the operator begins anew."""
        decision = self.decision()
        halves = [lambda: self.write(decision), lambda: self.act(decision)]
        for half in (halves if decision.status_first else halves[::-1])[:steps]:
            half()
        if steps < 2:
            self.made.clear()

    def write(self, decision: Decision) -> None:
        status = decision.status
        if (job := self.jobs.get(status.job or "")) is not None and job.uid in self.made:
            status = status.model_copy(update={"created": CreatedObjects(job=job.uid)})
        before = [each.number for each in self.status.history or ()]
        self.finished += [each.number for each in status.history or () if each.number not in before]
        self.status = status

    def act(self, decision: Decision) -> None:
        for action in decision.actions:
            match action:
                case StartRun():
                    self.start(action)
                case StopRun() if action.job in self.jobs:
                    self.stop(action.job)

    def stop(self, name: str) -> None:
        job = self.jobs[name]
        known = {each.job_uid for each in self.status.history or ()} | self.made
        if not (job.deleting or job.uid in known or self.status.created == CreatedObjects(job=job.uid)):
            # Made by an operator that was killed before it wrote the UID down: nobody can tell it from a forged
            # one. It never counted, and the run may still start, as after a suspension that came meanwhile.
            self.started.remove((name, job.number))
        self.jobs[name] = replace(job, deleting=True)

    def start(self, action: StartRun) -> None:
        going = [each.job for each in self.jobs.values() if is_running(each)]
        uid = f"uid-{action.job}"
        self.made.add(uid)
        if action.job in self.jobs:
            return  # its own, from before it was killed: adopted
        assert going == [], "two runs could push to one tag in the wrong order"
        assert (action.job, action.number) not in self.started, "an attempt has one Job"
        assert not self.suspended, "nothing starts while the build is suspended"
        self.started.append((action.job, action.number))
        self.jobs[action.job] = run(
            job=action.job, number=action.number, attempt=action.attempt, uid=uid, created=self.now
        )


@settings(max_examples=400)
@given(st.lists(EVENTS, max_size=40))
def test_a_run_for_each_ask_and_no_other(events):
    world, numbers = World(), [0]
    for what, value in events:
        world.happens(what, value)
        numbers.append(number_of(world.status))
    assert numbers == sorted(numbers), "numbers only grow"
    attempts = Counter(number for _, number in world.started)
    assert len(attempts) <= world.asks
    assert all(each <= 1 + RETRIES for each in attempts.values())
    assert len(world.finished) == len(set(world.finished)), "a run ends once"
    history = [present(each.number) for each in world.status.history or ()]
    assert history == sorted(set(history), reverse=True)
    phases = Counter(each.phase for each in world.status.history or ())
    assert phases[Phase.SUCCEEDED] <= present(KEPT.successful_runs)
    assert phases[Phase.FAILED] <= present(KEPT.failed_runs)


@settings(max_examples=400)
@given(st.lists(EVENTS, max_size=30))
@example(
    [
        ("cancel", "a"),
        ("reconcile", 1),
        ("spec", 2),
        ("reconcile", 1),
        ("suspend", True),
        ("reconcile", 2),
        ("gone", None),
    ]
)
def test_when_nothing_more_happens_all_is_done_and_stays_so(events):
    world = World()
    for what, value in events:
        world.happens(what, value)
    world.happens("suspend", False)
    for _ in range(10):
        world.happens("reconcile", 2)
        world.happens("end", "pushed")
        world.happens("wait", None)
        world.happens("gone", None)
    assert world.status.phase in {"Succeeded", "Failed"}
    assert world.status.observed_generation == world.generation
    started, status = list(world.started), world.status
    world.happens("reconcile", 2)
    assert (world.started, world.status) == (started, status)
    world.happens("gone", None)
    kept = {each.number for each in world.status.history or ()}
    assert {each.number for each in world.jobs.values()} <= kept | {number_of(status)}
