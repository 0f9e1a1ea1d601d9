"""`RUN --mount`: each type with its defaults, and what is refused."""

from __future__ import annotations

import pytest

from strake_builder.frontend import DockerfileRefusedError
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    FromContext,
    FromImage,
    FromScratch,
    FromStage,
    Mount,
    RunStep,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from tests.fixtures.narrow import instance
from tests.unit.strake_builder.frontend.stages import evaluated, step


def mounts(*values: str) -> tuple[Mount, ...]:
    run = step(f"RUN {' '.join(f'--mount={value}' for value in values)} x", "WORKDIR /w", "ENV v=val")
    assert isinstance(run, RunStep)
    return run.mounts


@pytest.mark.parametrize(
    ("value", "mount"),
    [
        ("target=/c", BindMount(FromContext(), "/", "/c")),
        ("type=bind,src=a/../b,dst=c,rw", BindMount(FromContext(), "/b", "/w/c", read_only=False)),
        ("from=img:1,source=/x,destination=/y", BindMount(FromImage("img:1"), "/x", "/y")),
        ("from=scratch,target=/y,ro=false", BindMount(FromScratch(), "/", "/y", read_only=False)),
        ("type=cache,target=/c/", CacheMount("/c", "/c", FromScratch())),
        ("type=cache,target=/c,uid=0", CacheMount("/c", "/c", FromScratch(), owned=True)),
        ("type=cache,target=/c,gid=0", CacheMount("/c", "/c", FromScratch(), owned=True)),
        ("type=cache,target=/c,mode=0755", CacheMount("/c", "/c", FromScratch(), owned=True)),
        ("type=CACHE,target=c,ro", CacheMount("c", "/w/c", FromScratch(), read_only=True)),
        (
            "type=cache,id=$v,target=/$v,sharing=locked,mode=0700,uid=1,gid=2,from=img,source=s",
            CacheMount("val", "/val", FromImage("img"), "/s", "locked", 0o700, 1, 2, owned=True),
        ),
        ("type=tmpfs,target=/t", TmpfsMount("/t")),
        ("type=tmpfs,target=/t,size=1.5k", TmpfsMount("/t", 1536)),
        ("type=tmpfs,target=/t,size=2GiB", TmpfsMount("/t", 2 << 30)),
        ("type=secret,id=s", SecretMount("s", "/run/secrets/s")),
        ("type=secret,id=a/b", SecretMount("a/b", "/run/secrets/b")),
        ("type=secret,target=/e/f", SecretMount("f", "/e/f")),
        ("type=secret,source=s,target=f,required", SecretMount("s", "/w/f", required=True)),
        ("type=secret,id=s,env=TOKEN", SecretMount("s", None, "TOKEN")),
        (
            "type=secret,id=s,env=T,target=/t,mode=0440,uid=3,gid=4",
            SecretMount("s", "/t", "T", False, 0o440, 3, 4),
        ),
        ("type=ssh", SshMount("default", "/run/buildkit/ssh_agent.0")),
        ("type=ssh,target=k/a", SshMount("default", "/w/k/a")),
        ("type=ssh,id=k,target=/k,required=1", SshMount("k", "/k", required=True)),
        ("'type=bind,\"target=/a,b\"'", BindMount(FromContext(), "/", "/a,b")),
    ],
)
def test_mount_is_read_with_its_defaults(value, mount):
    assert mounts(value) == (mount,)


def test_several_mounts_keep_their_order_and_sockets_count():
    found = mounts("type=ssh", "type=tmpfs,target=/t", "type=ssh,id=b")
    assert found[2] == SshMount("b", "/run/buildkit/ssh_agent.1")


def test_stage_is_found_by_name_and_not_by_number():
    run = evaluated(
        "FROM base AS s\nFROM base\nRUN --mount=from=S,target=/a --mount=from=0,target=/b x\n"
    ).steps[-1]
    assert isinstance(run, RunStep)
    assert [instance(mount, BindMount).source for mount in run.mounts] == [FromStage(0), FromImage("0")]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("type=bnd,target=/x", "did you mean bind?"),
        ("type=cache,target=/x,sharing=lock", "locked"),
        ("type=bind,tagret=/x", "did you mean target?"),
        ("type=bind,odd", "must be a key=value pair"),
        ("type=bind,target=/x,mode=0700", "mode not allowed"),
        ("type=tmpfs,target=/x,uid=1", "uid not allowed"),
        ("type=cache,target=/x,size=1m", "goes with tmpfs"),
        ("size=1m,type=tmpfs,target=/x", "must stand before it"),
        ("type=tmpfs,target=/x,size=much", "write 64m"),
        ("type=cache,target=/x,mode=999", "octal"),
        ("type=cache,target=/x,uid=-1", "decimal"),
        ("type=cache,target=/x,uid=4294967296", "decimal"),
        ("type=bind,target=/x,ro=maybe", "true or false"),
        ("type=bind,target=/x,required", "goes with secret and ssh"),
        ("type=secret", "id or a target"),
        ("type=secret,id=..", "cannot be the name of a secret's file"),
        ("type=secret,id=a,from=b", "should not have a from"),
        ("type=secret,id=a,source=b", "keep id"),
        ("type=ssh,source=a", "does not support source"),
        ("type=bind,target=/x,sharing=locked", "goes with cache"),
        ("type=bind,target=/", "invalid mount target"),
        ("type=bind,target=/x/..", "invalid mount target"),
        ("'type=bind,ta\"rget=/x'", "double quote"),
        ("type=bind,target=/x,from=a:b:c", "a:b:c"),
    ],
)
def test_mistake_is_refused_with_what_to_write(value, says):
    with pytest.raises(DockerfileRefusedError) as caught:
        mounts(value)
    assert says in str(caught.value)
