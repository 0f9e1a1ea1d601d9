"""Flags that all commands have, spelled as kubectl spells them."""

from __future__ import annotations

import argparse

from strake_kubectl.cluster import Cluster
from strake_kubectl.connection import connect


def add_cluster_flags(parser: argparse.ArgumentParser) -> None:
    """Add what names the cluster and the namespace."""
    parser.add_argument("-n", "--namespace", metavar="NAMESPACE", help="that of the context by default")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig; its current one by default")
    parser.add_argument("--kubeconfig", metavar="FILE", help="$KUBECONFIG or ~/.kube/config by default")


def add_name(parser: argparse.ArgumentParser) -> None:
    """Add the name of one build."""
    parser.add_argument("name", metavar="NAME", type=build_name, help="of the ImageBuild")


def build_name(text: str) -> str:
    """Return a name, without the kind that `-o name` writes before it."""
    return text.rpartition("/")[2]


def cluster_of(arguments: argparse.Namespace) -> Cluster:
    """Return the cluster that the flags name."""
    return connect(context=arguments.context, namespace=arguments.namespace, kubeconfig=arguments.kubeconfig)
