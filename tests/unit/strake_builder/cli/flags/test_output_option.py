"""`--output` in buildx's syntax: what it means, and what is refused with which words."""

from __future__ import annotations

import os

import pytest

from strake_builder.cli.flags.output_option import OutputOption, parse_output
from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import ArchiveTarget, LayoutTarget, TreeArchiveTarget, TreeTarget
from strake_oci.spec.reference import Reference

HERE = os.getcwd()
NAMED = (Reference.parse("r.example/a:1"),)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("out", OutputOption(file=TreeTarget(f"{HERE}/out"))),
        ("-", OutputOption(file=TreeArchiveTarget("-"))),
        ("type=local,dest=/out", OutputOption(file=TreeTarget("/out"))),
        ("type=tar,dest=/out.tar", OutputOption(file=TreeArchiveTarget("/out.tar"))),
        ("type=tar,dest=-", OutputOption(file=TreeArchiveTarget("-"))),
        ("type=oci,dest=/a.tar", OutputOption(file=ArchiveTarget("/a.tar", docker=False))),
        ("type=oci,tar=false,dest=/a", OutputOption(file=LayoutTarget("/a"))),
        (
            "type=oci,dest=/a.tar,name=r.example/a:1",
            OutputOption(file=ArchiveTarget("/a.tar", docker=False, names=NAMED)),
        ),
        (
            '"type=docker","name=r.example/a:1,r.example/b","dest=/with, comma"',
            OutputOption(
                file=ArchiveTarget(
                    "/with, comma", docker=True, names=(*NAMED, Reference.parse("r.example/b:latest"))
                )
            ),
        ),
        ("type=image,name=r.example/a:1,push=true", OutputOption(("r.example/a:1",))),
        ("type=registry,name=r.example/a:1", OutputOption(("r.example/a:1",))),
        ("type=registry", OutputOption()),
        ("Type=image,push=true,Name=a", OutputOption(("a",))),
        (
            "type=registry,name=a,compression=uncompressed,oci-mediatypes=false,rewrite-timestamp=true",
            OutputOption(("a",), form={"compression": "none", "media_types": "docker"}),
        ),
        (
            "type=oci,dest=/a,compression=zstd,compression-level=19,annotation.Some.Key=x=y",
            OutputOption(
                file=ArchiveTarget("/a", docker=False),
                form={"compression": "zstd", "compression_level": 19, "annotations": {"Some.Key": "x=y"}},
            ),
        ),
    ],
)
def test_what_it_means(text, meant):
    assert parse_output(text) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=cacheonly", "type is one of docker, image, local, oci, registry, tar"),
        ("dest=x", "has no type"),
        ("type=local", "dest is missing"),
        ("type=docker,name=a", "Docker daemon"),
        ("type=local,dest=-", "cannot go to the standard output"),
        ("type=oci,tar=false,dest=-", "cannot go to the standard output"),
        ("type=local,dest=x,compression=gzip", "has no field 'compression' (it has dest)"),
        ("type=image,name=a,push=true,unpack=true", "has no field 'unpack'"),
        ("type=image,name=a,push=true,unpack=true", "annotation.NAME"),
        ("type=tar,dest=x,annotation.a=b", "has no field 'annotation.a'"),
        ("type=image,name=a", "no image store here"),
        ("type=registry,name=a,push=false", "no image store here"),
        ("type=oci,dest=x,compression=lz4", "gzip, zstd or none"),
        ("type=oci,dest=x,compression-level=high", "is a number"),
        ("type=oci,dest=x,oci-mediatypes=maybe", "true or false"),
        ("type=oci,dest=x,rewrite-timestamp=false", "leave rewrite-timestamp out"),
        ("type=oci,dest=x,name=A:B:C", "'type=oci,dest=x,name=A:B:C'"),
        ("type=oci,dest=x,dest=y", "is given twice"),
        ("type=oci,dest", "is not NAME=VALUE"),
        ('"type=oci', "not understood"),
        ("a,b", "is not NAME=VALUE"),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(InvalidRequestError) as refused:
        parse_output(text)
    assert words in str(refused.value)
    assert text in str(refused.value)
