"""Whatever order ends and crashes come in: one Job for a part, the index last, and no way back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from strake_api.imagebuild import ImageBuildSpec
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded, ResolvedSource
from strake_api.status import CreatedObjects, ImageBuildStatus, Phase
from strake_operator.parts import IndexPart, Part, PlatformPart, SourcePart
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import Decision, StartRun, StopRun
from strake_operator.reconcile.observed import BuilderRun, Observation, Running
from strake_operator.reconcile.origin import sort_out
from strake_operator.reconcile.runs import number_of
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import DIGEST, FAILURE, NOW, SETTINGS, build, ended, pod, run

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")
COMMIT = "c" * 40
RETRIES = 2
BUSY = BuildFailed(reason=FailureReason.PUSH_FAILED, message="503", temporary=True)
ENDS = ("pushed", "failed", "busy", "evicted")
LABELS = ("source", "linux-amd64", "linux-arm64", "linux-arm-v7", "index")
ORDER = {"source": 0, "linux-amd64": 1, "linux-arm64": 1, "linux-arm-v7": 1, "index": 2}
EVENTS = st.one_of(
    st.tuples(st.just("end"), st.tuples(st.sampled_from(LABELS), st.sampled_from(ENDS))),
    st.tuples(st.just("end"), st.tuples(st.sampled_from(LABELS), st.just("pushed"))),
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("rerun"), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("cancel"), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("deleted"), st.sampled_from(LABELS)),
    st.tuples(st.just("gone"), st.none()),
    st.tuples(st.just("wait"), st.none()),
    # How far a reconcile gets before the operator is killed: nowhere, to its first half, to its end.
    st.tuples(st.just("reconcile"), st.integers(0, 2)),
    st.tuples(st.just("reconcile"), st.just(2)),
    st.tuples(st.just("reconcile"), st.just(2)),
)


def is_running(job: BuilderRun) -> bool:
    return isinstance(present(job.pod).container, Running)


def digest_of(job: BuilderRun) -> str:
    """The digest of what an attempt pushes: another one each time."""
    return f"sha256:{job.number:02d}{job.attempt:02d}{LABELS.index(present(job.part)):060d}"


def result_of(job: BuilderRun, how: str):
    if how == "evicted":
        return pod(phase="Failed", disrupted="drain")
    if how != "pushed":
        return pod(ended({"failed": FAILURE, "busy": BUSY}[how].to_json()))
    if job.part == "source":
        done = BuildSucceeded(sources=(ResolvedSource(revision=COMMIT),))
    else:
        done = BuildSucceeded(digest=digest_of(job))
    return pod(ended(done.to_json(), exit_code=0))


@dataclass
class World:
    """One ImageBuild of several platforms, and the Jobs that were made for it."""

    floats: bool
    now: datetime = NOW
    generation: int = 1
    suspended: bool = False
    rerun: str | None = None
    cancel: str | None = None
    asks: int = 1
    status: ImageBuildStatus = field(default_factory=ImageBuildStatus)
    jobs: dict[str, BuilderRun] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    started: list[tuple[str, int, str]] = field(default_factory=list)
    finished: list[int | None] = field(default_factory=list)
    pushed: dict[tuple[int, str], set[str]] = field(default_factory=dict)
    tagged: list[tuple[str, ...]] = field(default_factory=list)

    def spec(self) -> ImageBuildSpec:
        source = {"url": "https://git.example/app", "ref": "main" if self.floats else COMMIT}
        return ImageBuildSpec.model_validate(
            {
                "source": {"git": source},
                "platforms": PLATFORMS,
                "output": {"destinations": ["r.example/app:1"]},
                "suspend": self.suspended,
                "retries": RETRIES,
            }
        )

    def happens(self, what: str, value) -> None:
        self.now += timedelta(seconds=5)
        match what:
            case "suspend" if value != self.suspended:
                self.suspended, self.generation = value, self.generation + 1
            case "rerun":
                self.asks += value is not None and value != self.rerun
                self.rerun = value
            case "cancel":
                self.cancel = value
            case "wait":
                self.now += timedelta(minutes=6)
            case "reconcile":
                self.reconcile(value)
            case _:
                self.happens_to_jobs(what, value)

    def happens_to_jobs(self, what: str, value) -> None:
        match what:
            case "end":
                label, how = value
                for job in self.jobs.values():
                    if job.part == label and not job.deleting and is_running(job):
                        self.end(job, how)
            case "deleted":
                for name in [each.job for each in self.jobs.values() if each.part == value]:
                    self.stop(name)
            case "gone":
                self.jobs = {name: job for name, job in self.jobs.items() if not job.deleting}
            case _:
                pass  # nothing changes

    def end(self, job: BuilderRun, how: str) -> None:
        self.jobs[job.job] = replace(job, pod=result_of(job, how), finished=True)
        if how != "pushed":
            return
        if job.part == "index":
            self.tagged.append((job.job,))
        else:
            self.pushed.setdefault((job.number, present(job.part)), set()).add(digest_of(job))

    def decision(self) -> Decision:
        seen = build(
            self.status, generation=self.generation, spec=self.spec(), rerun=self.rerun, cancel=self.cancel
        )
        runs, strays = sort_out(self.jobs.values(), seen, self.made)
        return decide(Observation(seen, runs, None, strays=strays), SETTINGS, self.now)

    def reconcile(self, steps: int) -> None:
        decision = self.decision()
        halves = [lambda: self.write(decision), lambda: self.act(decision)]
        for half in (halves if decision.status_first else halves[::-1])[:steps]:
            half()
        if steps < 2:
            self.made.clear()

    def write(self, decision: Decision) -> None:
        status, before = decision.status, self.status
        parts = tuple(
            each.model_copy(update={"created": CreatedObjects(job=job.uid)})
            if (job := self.jobs.get(each.job or "")) is not None and job.uid in self.made
            else each
            for each in status.parts or ()
        )
        status = status.model_copy(update={"parts": parts or None})
        if number_of(before) == number_of(status):
            over = {Phase.SUCCEEDED, Phase.FAILED}
            assert before.phase not in over or status.phase is before.phase, "an end is the end"
            ends = {each.name: each.phase for each in before.parts or () if each.phase in over}
            now = {each.name: each.phase for each in status.parts or ()}
            assert all(now[name] is phase for name, phase in ends.items()), "so is that of a part"
        known = [each.number for each in before.history or ()]
        self.finished += [each.number for each in status.history or () if each.number not in known]
        self.status = status

    def act(self, decision: Decision) -> None:
        assert sum(isinstance(each, StartRun) for each in decision.actions) <= 1, "one Job at a time"
        for action in decision.actions:
            match action:
                case StartRun():
                    self.start(action)
                case StopRun() if action.job in self.jobs and action.uid is not None:
                    self.stop(action.job)

    def stop(self, name: str) -> None:
        job = self.jobs[name]
        known = {part.job_uid for each in self.status.history or () for part in each.parts or ()} | self.made
        known |= {each.created.job for each in self.status.parts or () if each.created}
        if not (job.deleting or job.uid in known):
            # Made by an operator that was killed before it wrote the UID down: nobody can tell it from a forged
            # one. It never counted, and the part may still start.
            self.started = [each for each in self.started if each[0] != name]
        self.jobs[name] = replace(job, deleting=True)

    def start(self, action: StartRun) -> None:
        part = action.part
        assert part is not None, "each Job is of a part"
        label = part.name.replace("/", "-")
        uid = f"uid-{action.job}"
        self.made.add(uid)
        if action.job in self.jobs:
            return  # its own, from before it was killed: adopted
        going = [each for each in self.jobs.values() if is_running(each)]
        assert all(each.number == action.number for each in going), "two runs could push to one tag"
        assert all(ORDER[present(each.part)] == ORDER[label] for each in going), "no part before its turn"
        assert all(each.part != label for each in going), "a part has one Job at a time"
        assert (action.job, action.number, label) not in self.started, "an attempt has one Job"
        assert not self.suspended, "nothing starts while the build is suspended"
        self.check_needs(part, action.number)
        self.started.append((action.job, action.number, label))
        self.jobs[action.job] = run(
            job=action.job,
            number=action.number,
            attempt=action.attempt,
            uid=uid,
            created=self.now,
            part=label,
        )

    def check_needs(self, part: Part, number: int) -> None:
        match part:
            case SourcePart():
                assert self.floats
            case PlatformPart():
                assert bool(part.sources) == self.floats, "all platforms build the same commit"
                assert all(each.revision == COMMIT for each in part.sources)
            case IndexPart():
                assert [each.platform for each in part.images] == [*PLATFORMS]
                for each in part.images:
                    label = each.platform.replace("/", "-")
                    assert each.digest in self.pushed[number, label], "what this run's Job pushed"
                assert part.revision == COMMIT


@settings(max_examples=400, deadline=None)
@given(st.booleans(), st.lists(EVENTS, max_size=60))
def test_a_part_has_one_job_and_the_index_comes_last(floats, events):
    world, numbers = World(floats), [0]
    for what, value in events:
        world.happens(what, value)
        numbers.append(number_of(world.status))
    assert numbers == sorted(numbers), "numbers only grow"
    attempts = Counter((number, label) for _, number, label in world.started)
    assert len({number for number, _ in attempts}) <= world.asks
    assert all(each <= 1 + RETRIES for each in attempts.values())
    assert len(world.finished) == len(set(world.finished)), "a run ends once"


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(EVENTS, max_size=30))
def test_when_nothing_more_happens_all_is_done_and_stays_so(floats, events):
    world = World(floats)
    for what, value in events:
        world.happens(what, value)
    world.happens("suspend", False)
    for _ in range(25):
        world.happens("reconcile", 2)
        for label in LABELS:
            world.happens("end", (label, "pushed"))
        world.happens("wait", None)
        world.happens("gone", None)
    assert world.status.phase in {"Succeeded", "Failed"}
    assert world.status.observed_generation == world.generation
    if world.status.phase == "Succeeded":
        assert [each.platform for each in world.status.platforms or ()] == [*PLATFORMS]
        assert DIGEST not in {each.digest for each in world.status.platforms or ()}
    started, status = list(world.started), world.status
    world.happens("reconcile", 2)
    assert (world.started, world.status) == (started, status)
    world.happens("gone", None)
    kept = {each.number for each in world.status.history or ()}
    assert {each.number for each in world.jobs.values()} <= kept | {number_of(status)}
