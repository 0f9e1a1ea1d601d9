"""One Dockerfile, read by Strake and by BuildKit: what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from strake_builder.errors import InvalidRequestError
from strake_builder.frontend import BaseImage, DockerfileRefusedError, Problem, evaluate, parse, plan
from strake_builder.frontend.lint import lint_plan
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.planned import BuildPlan, ImageBase, ScratchBase, StageBase
from strake_builder.frontend.reading import arguments
from strake_builder.frontend.reading.logical_lines import LineReader
from strake_builder.frontend.text.source import SourceText, split_lines
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference
from tests.oracles import step_comparison
from tests.oracles.go_oracle import GoOracle

AMD64 = Platform("linux", "amd64")
IMAGES = {
    "base": RuntimeConfig(env=("PATH=/bin", "FROM_BASE=yes"), cmd=("sh",), working_dir="/srv", user="app"),
    "plain": RuntimeConfig(env=("PATH=/usr/bin:/bin",)),
    "rich": RuntimeConfig(
        env=("A=1", "B=two words"),
        entrypoint=("/entry",),
        cmd=("a", "b"),
        labels={"l": "v"},
        volumes=("/data",),
        exposed_ports=("80/tcp",),
        shell=("/bin/ash", "-c"),
        stop_signal="SIGINT",
    ),
    "triggers": RuntimeConfig(
        env=("PATH=/bin",),
        on_build=("ENV trig=1", "COPY --chown=3 <<E /t\nhi $trig\nE", "RUN echo $trig", "WORKDIR w"),
    ),
}


@dataclass(frozen=True)
class Difference:
    """Where the two disagree."""

    what: str
    ours: Any
    theirs: Any


def compare(
    oracle: GoOracle,
    text: str,
    *,
    build_args: dict[str, str] | None = None,
    target: str = "",
    images: Mapping[str, RuntimeConfig] = IMAGES,
) -> list[Difference]:
    """Compare the parsing, the configuration, the history and the warnings of one file.

    Args:
        oracle: BuildKit.
        text: The file.
        build_args: Values for its ARGs.
        target: The stage; the last one by default.
        images: The images that exist, by the names that the file has for them.
    """
    found = compare_lines(oracle, text)
    ours = run_ours(text, build_args or {}, target, images)
    theirs = run_theirs(oracle, text, build_args or {}, target, images)
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        if isinstance(ours, dict) != isinstance(theirs, dict) and not deliberate(ours):
            found.append(Difference("outcome", str(ours), theirs))
        return found
    if ours["steps"] is None:
        theirs["steps"] = None
    found += [Difference(key, ours[key], theirs[key]) for key in theirs if ours[key] != theirs[key]]
    return found


def compare_lines(oracle: GoOracle, text: str) -> list[Difference]:
    """Compare how the text falls into instructions."""
    answer = oracle.ask("parse", text=text)
    reader = LineReader(SourceText("Dockerfile", tuple(split_lines(text))))
    lines = list(reader)
    # Behind a misspelt instruction, Strake skips what looks like its heredoc, to report one mistake only.
    if "error" in answer or answer["ok"]["instructions"].startswith("dockerfile parse error"):
        return []
    theirs = [
        {
            "original": node["original"],
            "lines": (node["start"], node["end"]),
            "flags": node["flags"] or [],
            "comments": node["comments"] or [],
            "heredocs": [
                (doc["name"], doc["body"], doc["expand"], doc["chomp"], doc["fd"])
                for doc in node["heredocs"] or []
            ],
        }
        for node in answer["ok"]["nodes"]
    ]
    escape = reader.directives.escape
    ours = [
        {
            "original": line.text,
            "lines": (line.span.first, line.span.last),
            "flags": arguments.split_flags(arguments.split_keyword(line.text)[1], escape)[0],
            "comments": list(line.comments),
            "heredocs": [(doc.name, doc.body, doc.expand, doc.strip_tabs, doc.fd) for doc in line.heredocs],
        }
        for line in lines
    ]
    return [] if ours == theirs else [Difference("lines", ours, theirs)]


def run_theirs(
    oracle: GoOracle,
    text: str,
    build_args: dict[str, str],
    target: str,
    images: Mapping[str, RuntimeConfig] = IMAGES,
) -> dict[str, Any] | str:
    """Return what BuildKit makes of a file, or its error."""
    named = {full_name(name): image_json(config) for name, config in images.items()}
    answer = oracle.ask("convert", text=text, args=build_args, target=target, images=named)
    if "error" in answer:
        return answer["error"]
    result = answer["ok"]
    config = {key: value for key, value in result["config"].items() if value and key != "ArgsEscaped"}
    config["Env"] = sorted(config.get("Env", []))
    return {
        "config": config,
        "history": [
            (entry["created_by"], entry.get("empty_layer", False)) for entry in result["history"] or []
        ],
        "author": result["author"],
        "epoch": result["epoch"],
        "steps": step_comparison.theirs(result["steps"]),
        # The platform of a base image is known to the engine, which says so itself.
        "warnings": sorted(
            {(w["rule"], w["line"]) for w in result["warnings"] if w["rule"] != "InvalidBaseImagePlatform"}
        ),
    }


def deliberate(ours: Any) -> bool:
    """Tell whether Strake refuses for a reason on the list of STRICTER."""
    if not isinstance(ours, DockerfileRefusedError):
        return False
    return all(any(applies(problem) for applies in STRICTER.values()) for problem in ours.problems)


# What Strake refuses and BuildKit takes, with the reason.
STRICTER: dict[str, Callable[[Problem], bool]] = {
    "a broken trigger is refused where it is written, not in the build of somebody else": (
        lambda p: p.instruction.lower().startswith("onbuild")
    ),
    "a flag that would be ignored is refused": (
        lambda p: (
            p.code == "unknown-flag"
            and p.instruction.split(None, 1)[0].lower() in ("arg", "stopsignal", "healthcheck")
        )
    ),
    "the flags of HEALTHCHECK NONE are read like those of CMD": (
        lambda p: p.code == "invalid-flag" and p.instruction.lower().startswith("healthcheck")
    ),
    "RUN [] fails in BuildKit, too, but only when it is executed": (
        lambda p: p.message.startswith("RUN [] names no program")
    ),
    "a secret's file or an agent's socket over the root fails in BuildKit, too, but only when it is executed": (
        lambda p: p.message.startswith("invalid mount target")
    ),
    "a malformed pattern is refused before the files are looked at": lambda p: p.code == "invalid-pattern",
    "what can be no commit fails before the fetch instead of after it": (
        lambda p: p.message.startswith("invalid commit")
    ),
    "a time is one of images: from 1970 on, of eleven digits at most": (
        lambda p: p.message.startswith("SOURCE_DATE_EPOCH is a whole number")
    ),
    "a heredoc that becomes a file must be a file's name": lambda p: "cannot be the name of a" in p.message,
}


def full_name(image: str) -> str:
    """Return a reference as BuildKit's frontend asks for it."""
    return str(Reference.parse(image).with_default_tag())


def run_ours(
    text: str,
    build_args: dict[str, str],
    target: str,
    images: Mapping[str, RuntimeConfig] = IMAGES,
) -> dict[str, Any] | str | DockerfileRefusedError:
    """Return what Strake makes of a file, or its error."""
    try:
        dockerfile = parse(text)
        planned = plan(
            dockerfile, target=target or None, build_args=build_args, platform=AMD64, build_platform=AMD64
        )
        done: dict[int, EvaluatedStage] = {}
        history: dict[int, list[tuple[str, bool]]] = {}
        base: BaseImage | EvaluatedStage | None
        for stage in planned.stages:
            for image in stage.images:
                if image not in images:
                    return f"no image {image}"
            match stage.base:
                case ImageBase(reference):
                    if reference not in images:
                        return f"no image {reference}"
                    base, before = BaseImage(images[reference]), []
                case StageBase(index):
                    base, before = done[index], history[index]
                case ScratchBase():
                    base, before = None, []
            done[stage.index] = evaluate(planned, stage, base)
            history[stage.index] = [
                *before,
                *(
                    (step.created_by, type(step).__name__ == "ConfigStep")
                    for step in done[stage.index].steps
                    if step.created_by is not None
                ),
            ]
        warnings = lint_plan(planned, all_stages=False, base_configs=images, ignore=None)
    except DockerfileRefusedError as refused:
        return refused
    except InvalidRequestError as refused:
        return str(refused)
    result = done[planned.target]
    chain = _chain(planned)
    steps = [step for index in chain for step in done[index].steps]
    return {
        # Only where nothing is needed but the stages below: others would stand in between.
        "steps": step_comparison.ours(steps) if chain == list(planned.needed) else None,
        "config": config_json(result.config),
        "history": history[planned.target],
        "author": result.author,
        "epoch": planned.epoch,
        "warnings": sorted({(w.rule.name, w.span.first) for w in warnings}),
    }


def _chain(planned: BuildPlan) -> list[int]:
    """Return the target and the stages that it builds on, lowest first."""
    found = [planned.target]
    while isinstance(base := planned.every_stage[found[0]].base, StageBase):
        found.insert(0, base.index)
    return found


def config_json(config: RuntimeConfig) -> dict[str, Any]:
    """Return a configuration as Docker writes it, without empty values; Env sorted."""
    health = config.healthcheck
    check = (
        {
            "Test": list(health.test),
            "Interval": health.interval,
            "Timeout": health.timeout,
            "StartPeriod": health.start_period,
            "StartInterval": health.start_interval,
            "Retries": health.retries,
        }
        if health
        else {}
    )
    full = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": sorted(config.env),
        "Entrypoint": list(config.entrypoint or ()),
        "Cmd": list(config.cmd or ()),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "Healthcheck": {key: value for key, value in check.items() if value},
        "Shell": list(config.shell or ()),
        "OnBuild": list(config.on_build),
    }
    return {key: value for key, value in full.items() if value or key == "Env"}


def image_json(config: RuntimeConfig) -> dict[str, Any]:
    """Return an image config for the oracle."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": config_json(config),
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
    }
