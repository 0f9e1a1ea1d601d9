"""Drawn Dockerfiles of RUN mounts: their targets, owners and options, and what they leave in the image."""

from __future__ import annotations

import random
from typing import Final

from tests.conformance.cases import Case, Link, Text

_TARGETS: Final = (
    "/m", "/a", "/a/b", "/a/b/c", "/new/d", "m", "./m", "../m", "/m/../n", "/l/x", "/l", "/f", "/etc", "/tmp", "/tmp/x",
    "/run/y", "/etc/passwd", "/m/", "/a//b", "/home/u", "/dangling", "/dangling/x", "/dev/shm/q", "$T", "${T}/s",
)  # fmt: skip
_IDS: Final = ("", "id=one", "id=two", "id=/m")
_OWNERS: Final = (
    "",
    "uid=5",
    "gid=6",
    "uid=1000,gid=7",
    "mode=0700",
    "mode=777",
    "mode=0644,uid=5",
    "mode=01777",
)
_SOURCES: Final = (
    "",
    "source=d",
    "source=/d/e",
    "src=f",
    "source=.",
    "source=l",
    "source=d/../f",
    "source=lf",
)
_DIRECTORIES: Final = ("", "source=d", "source=/d/e", "source=.", "source=l", "source=e/../d")
_FILES: Final = {
    "f": "f\n", "d/e/g": "g\n", "d/h": Text("h\n", 0o4755), "l": Link("d"), "lf": Link("d/h"), "out": Link("/etc/passwd"),
    "lib/f": "x\n", "lib/d/e/y": Text("y\n", 0o600), "lib/l": Link("d/e"), "lib/lf": Link("/d/e/y"),
}  # fmt: skip


class MountsDrawing:
    """One drawing: stages whose steps look at their mounts and write to them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._seed = seed
        self._step = 0

    def case(self) -> Case:
        """Draw a case."""
        prepared = "RUN mkdir -p /a/b /r && chmod 2775 /a && echo f > /f && ln -sfn /a /l && ln -sfn /gone /dangling && chown 5:6 /a/b"
        lines = ["FROM TINY AS one", "COPY . /"]
        lines += [step.replace("from=one", "from=lib") for step in self._steps(self._random.randint(0, 2))]
        lines += [f"FROM {self._random.choice(('TINY', 'TINY', 'one'))}", "ARG T=/t", prepared]
        for _ in range(self._random.randint(0, 2)):
            lines.append(
                self._random.choice(
                    ("WORKDIR /w", "WORKDIR /a", "USER 5", "USER 1000:7", "ENV T=/env", "USER 0")
                )
            )
        lines += self._steps(self._random.randint(1, 4))
        return Case(
            "\n".join(lines) + "\n", dict(_FILES), secrets={"s": "value\n", "t": ""}, contexts=("lib",)
        )

    def _steps(self, count: int) -> list[str]:
        return [self._run() for _ in range(count)]

    def _run(self) -> str:
        mounts: list[str] = []
        targets: list[str] = []
        for _ in range(self._random.choice((1, 1, 2, 3))):
            target = self._random.choice(_TARGETS)
            if any(target.strip("/.").endswith(other.strip("/.")[-1]) for other in targets):
                continue  # which one of two mounts of a target wins is the order in which BuildKit happens to sort them
            options = self._mount()
            if self._random.random() < 0.95 or "secret" not in options:
                options += f",{self._random.choice(('target', 'dst', 'destination'))}={target}"
                targets.append(target)
            mounts.append(f"--mount={options}")
        if not mounts:
            return self._run()
        self._step += 1
        commands = [self._command(target) for target in targets for _ in range(self._random.choice((1, 2)))]
        return f"RUN {' '.join(mounts)} {{ {'; '.join(commands) or 'env | grep ^S'}; }} > /tmp/{self._step} 2>/dev/null; true"

    def _mount(self) -> str:
        choice = self._random.choice
        match self._random.randint(0, 9):
            case 0 | 1 | 2 | 3:
                origin = choice(("", "", "from=one", "from=lib", "from=TINY"))
                parts = [
                    "type=bind",
                    origin,
                    "" if "TINY" in origin else choice(_SOURCES),
                    choice(("", "", "rw", "rw=true", "ro", "readonly=false")),
                ]
            case 4 | 5 | 6:
                name = choice(_IDS)
                name = f"{name}-{self._seed}" if name else f"id={self._seed}"
                origin = choice(("", "", "", "from=one", "from=lib"))
                parts = ["type=cache", name, origin, choice(_DIRECTORIES) if origin else "", choice(_OWNERS)]
                parts.append(choice(("", "", "sharing=locked", "sharing=private", "ro", "sharing=shared")))
            case 7:
                parts = ["type=tmpfs", choice(("", "size=1m", "size=65536"))]
            case _:
                parts = ["type=secret", choice(("id=s", "id=t", "id=none", "id=s,required")), choice(_OWNERS)]
                parts.append(choice(("", "", "env=S", "env=S1,required=false")))
        return ",".join(part for part in parts if part)

    def _command(self, target: str) -> str:
        path = target.replace("$T", "/t").replace("${T}", "/t")
        return self._random.choice(
            (
                f"find {path} -maxdepth 2 -exec stat -c '%n %F %a %u %g' {{}} + | sort",
                f"stat -c '%n %F %a %u %g %s' {path} {path}/..",
                f"ls -ln {path} | awk '{{print $1,$3,$4,$9,$10,$11}}'",
                f"cat {path} {path}/*",
                f"echo new > {path}/new",
                f"mkdir -p {path}/sub/dir && echo x > {path}/sub/x",
                f"rm -rf {path}/*",
                f"rm -rf {path}",
                f"chmod 711 {path}",
                f"chown 9:9 {path}",
                f"cp -a {path} /r/copy",
                f"echo over > {path}",
                f"mv {path}/new {path}/moved",
                f"grep -c ' {path} ' /proc/self/mountinfo",
            )
        )
