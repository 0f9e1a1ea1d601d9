"""Makes Dockerfiles at random: plausible ones, odd ones and broken ones, the same for the same seed."""

from __future__ import annotations

import random

SOUND = (
    "a",
    "'b c'",
    "$A",
    "${A}",
    "${B:-d}",
    "x-1",
    "${A:+s}",
    "${A#*x}",
    "${A//x/-}",
    '"q $A"',
    "/p/q",
    "\\$A",
    "é",
)
WORDS = (
    *("a", "b c", "$A", "${A}", "${B:-d}", "${B-d}", "${A:+s}", "${A+s}", "${A#*x}", "${A##?}", "${A%x*}"),
    *(
        "${A%%?}",
        "${A/x/y}",
        "${A//x/-}",
        "${A//\\?/q}",
        "${Z:-${A:-${B}}}",
        "${A:?gone}",
        "${Z?}",
        "$",
        "$$",
    ),
    *("'q $A'", '"q $A"', '"e\\"s"', "\\$A", "a\\ b", "x=y", "=", "/p/q", "./r/", "..", ".", "", "é", "\\"),
    *(
        "'",
        '"',
        "${",
        "${A",
        "${A:x}",
        "a'b'c",
        '""',
        "''",
        "`",
        "#no",
        "<<",
        "$1",
        "$10",
        "${1}",
        "$_x",
        "~",
        "*",
    ),
)
KEYWORDS = (
    *("ENV", "ARG", "LABEL", "RUN", "COPY", "ADD", "CMD", "ENTRYPOINT", "SHELL", "EXPOSE", "VOLUME", "USER"),
    *("WORKDIR", "HEALTHCHECK", "STOPSIGNAL", "ONBUILD", "MAINTAINER", "FROM"),
)
COMMANDS = (
    *(
        "echo hi",
        "true && false",
        "echo $A",
        '["a", "b"]',
        "[ 'a' ]",
        '["a"] b',
        '["a", 1]',
        "[]",
        "",
        '[["a"]]',
    ),
    *(
        '["\\u00e9\\n", "\\ud800"]',
        "if [ x ]; then y; fi",
        '  [ "x" ,"y" ]',
        '["a",]',
        "a   b",
        '"q"',
        "exec \\$A",
    ),
)
FLAGS = (
    *(
        "--chown=1:2",
        "--chown=app",
        "--chown=$A",
        "--chmod=644",
        "--chmod=u+x",
        "--chmod=9",
        "--chmod=a=rX,g-w",
    ),
    *(
        "--link",
        "--link=false",
        "--link=x",
        "--parents",
        "--from=one",
        "--from=0",
        "--from=plain",
        "--from=$A",
    ),
    *("--exclude=*.o", "--unpack", "--keep-git-dir=true", "--checksum=sha256:1", "--what", "--network=none"),
    *(
        "--network=host",
        "--network=x",
        "--security=insecure",
        "--mount=type=cache,target=/c",
        "--mount=target=t",
    ),
    *("--mount=type=secret,id=s,env=E", "--mount=type=tmpfs,target=/t,size=1m", "--mount=type=ssh,required"),
    *("--mount=from=one,source=/x,target=/y,rw", "--mount=type=bind", "--mount=type=cache,target=$A,uid=1"),
    *(
        "--mount=from=$A,target=/x",
        "--mount=type=cache,target=/c,sharing=odd",
        "--interval=5s",
        "--retries=3",
    ),
    *(
        "--timeout=1",
        "--start-period=1m5.5s",
        "--retries=-1",
        "--platform=linux/arm64",
        "--platform=$TARGETPLATFORM",
    ),
    *("--", "--link --", '"--link"', "--chown='1'", "--exclude", "--exclude=", "--chown"),
)
GOOD_FLAGS = {
    "COPY": FLAGS[:4]
    + FLAGS[4:5]
    + ("--link", "--parents", "--from=plain", "--exclude=*.o", "--chmod=u=rwX,go=rX"),
    "ADD": ("--chown=1", "--unpack", "--keep-git-dir", "--link", "--exclude=a --exclude=b"),
    "RUN": (
        "--network=none",
        "--security=insecure",
        *FLAGS[22:27],
        "--mount=type=ssh --mount=type=secret,id=$A",
    ),
    "HEALTHCHECK": (
        "--interval=5s",
        "--retries=3 --timeout=1m",
        "--start-period=1m5.5s",
        "--start-interval=1500ms",
    ),
    "FROM": ("--platform=linux/arm64", "--platform=$TARGETPLATFORM", "--platform=$BUILDPLATFORM"),
}
GOOD_FORMS = {
    "ENV": ("A={w}", "A={w} B={w}", "A {w}", "P=$P:{w}"),
    "ARG": ("A={w}", "A", "A B={w}", "C={w} D=${{C}}2", "TARGETOS TARGETARCH"),
    "LABEL": ("a={w}", '"a b"={w}', "a {w}", "x.y={w} z='{w}'"),
    "COPY": ("{w} /d", "{w} {w} d/", '["a b", "{w}"]', "<<E {w}", "a .", "x/ ../y"),
    "ADD": ("{w} /d", "https://h/p/f.tar.gz {w}", "https://h/r.git#v1:dir /d", "git@h:o/r.git /d", "<<E /d/"),
    "SHELL": ('["/bin/bash", "-c"]', '["x"]'),
    "EXPOSE": ("80", "80/udp 1-3", "8$Q 9", "80/TCP", "1.2.3.4:80:81", "5:6"),
    "VOLUME": ("/v", '["/v", "{w}"]', "/a /b"),
    "USER": ("{w}", "1:2"),
    "WORKDIR": ("{w}", "/w", "rel", "../x", "/a/../b/"),
    "HEALTHCHECK": ("CMD curl", "NONE", 'CMD ["a"]'),
    "STOPSIGNAL": ("SIGTERM", "9", "RTMIN+3", "sigusr1"),
    "MAINTAINER": ("me",),
    "FROM": ("base", "one", "scratch", "plain AS two", "rich as One", "triggers"),
}
FORMS = {
    "ENV": ("A={w}", "A={w} B={w}", "A {w}", "A", "{w}={w}", "A={w}  C='{w}'", "P=$P:{w}"),
    "ARG": ("A={w}", "A", "A B={w}", "{w}", "A={w} B=${{A}}2", "TARGETOS", "1x={w}"),
    "LABEL": ("a={w}", '"a b"={w}', "a {w}", "a", "x.y={w} z='{w}'"),
    "COPY": (
        "{w} /d",
        "{w} {w} /d/",
        "a",
        "a {w}",
        '["a b", "{w}"]',
        "http://x/y /d",
        "git@h:r.git /d",
        "<<E {w}",
    ),
    "ADD": (
        *(
            "{w} /d",
            "https://h/p/f.tar.gz {w}",
            "a b /c",
            "https://h/r.git#v1:dir /d",
            "git@h:o/r.git /d",
            "a",
        ),
        *(
            "https://h/r.git?ref=x&subdir=y /d",
            "https://h/r.git?odd=1 /d",
            "http://h /d",
            "<<E /d/",
            "ssh://h/r /d",
        ),
    ),
    "SHELL": ('["/bin/bash", "-c"]', "sh", '["x"]', "[]"),
    "EXPOSE": (
        "80",
        "80/udp 1-3",
        "{w}",
        "x",
        "70000",
        "80/TCP",
        "1.2.3.4:80:81",
        "5:6",
        "3-1",
        "",
        "80/x",
        "$A/tcp",
    ),
    "VOLUME": ("/v", '["/v", "{w}"]', "{w}", "/a /b", "", '[""]'),
    "USER": ("{w}", "1:2", "", "a b"),
    "WORKDIR": ("{w}", "/w", "rel", "../x", "/a/../b/", ""),
    "HEALTHCHECK": ("CMD {c}", "NONE", "NONE x", "CMD", "{c}", "", "cmd ok"),
    "STOPSIGNAL": ("SIGTERM", "9", "0", "{w}", "RTMIN+3", "sigusr1", "NOPE", ""),
    "MAINTAINER": ("me", ""),
    "FROM": (
        "base",
        "one",
        "scratch",
        "{w}",
        "plain AS two",
        "rich as One",
        "base AS 1x",
        "base two",
        "triggers",
        "",
    ),
}


class Generator:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sound = seed % 3 != 0

    def dockerfile(self) -> str:
        """Return one file."""
        choice = self._random.choice
        lines = []
        if self._chance(0.15):
            lines.append(
                choice(("# escape=`", "# syntax=x/y:1", "#escape = \\", "# check=skip=all", "# escape=x"))
            )
        for _ in range(self._random.randint(0, 2)):
            lines.append(f"ARG {self._fill(choice(FORMS['ARG']))}")
        lines.append(
            choice(("FROM base AS one", "FROM plain AS one", "from rich as one", "FROM scratch AS one"))
        )
        for _ in range(self._random.randint(1, 9)):
            lines += self._line()
        end = choice(("\n", "\n", "\r\n"))
        return ("\ufeff" if self._chance(0.03) else "") + end.join(lines) + choice(("", end))

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _fill(self, form: str) -> str:
        while "{w}" in form:
            words = SOUND if self._sound and self._chance(0.97) else WORDS
            form = form.replace("{w}", self._random.choice(words), 1)
        return form.replace("{c}", self._random.choice(COMMANDS), 1)

    def _line(self) -> list[str]:
        choice = self._random.choice
        if self._chance(0.1):
            return [
                choice(
                    (
                        "",
                        "# a comment",
                        "  # one note",
                        "#",
                        "   ",
                        "\t",
                        "# check=skip=UndefinedVar",
                        "RUNN x",
                    )
                )
            ]
        keyword = choice(KEYWORDS)
        prefix = ""
        if keyword == "ONBUILD":
            prefix, keyword = "ONBUILD ", choice(KEYWORDS)
        forms = FORMS.get(keyword, ("{c}",))
        if self._sound and self._chance(0.95):
            forms = GOOD_FORMS.get(keyword, forms)
        form = self._fill(choice(forms))
        if keyword in GOOD_FLAGS and self._chance(0.4):
            flags = GOOD_FLAGS[keyword] if self._sound and self._chance(0.95) else FLAGS
            form = f"{choice(flags)} {form}"
        if self._chance(0.15):
            keyword = choice((keyword.lower(), keyword.title()))
        text = f"{prefix}{keyword}{choice((' ', ' ', '  ', chr(9)))}{form}"
        lines = [text]
        if keyword.upper() == "RUN" and self._chance(0.25):
            lines = [
                f"{text} {choice(('<<E', '<<-E', chr(60) * 2 + chr(39) + 'E' + chr(39), '3<<E', '<<E <<F', '<< E'))}"
            ]
        if "<<" in lines[0]:
            lines += [
                choice(("body $A", "\ttabbed", "#!/bin/x", "\\$A '")),
                choice(("E", "E", "E", "\tE", "E ")),
            ]
            lines += ["F"] if "<<F" in lines[0] else []
        elif self._chance(0.2) and " " in text:
            head, _, tail = text.rpartition(" ")
            middle = choice(([], [], ["# comment"], [""], ["\\"], ["  # indented"]))
            lines = [head + choice((" \\", "\\", " \\ ", " `", " \\\\")), *middle, tail]
        return lines


def dockerfiles(count: int, first: int = 0) -> list[str]:
    """Return files of consecutive seeds."""
    return [Generator(seed).dockerfile() for seed in range(first, first + count)]
