"""`strake login` and `strake logout`: credentials in Docker's config file, tried out before they are kept."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Final

from strake_api.text import visible

_NOTES: Final = """\
The credentials go where Docker keeps them ($DOCKER_CONFIG/config.json or ~/.docker/config.json), through the
credential helper that the file names, if it names one.

examples:
  strake login registry.example
  strake login registry.example --username ci --password-stdin < token
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("registry", nargs="?", default="docker.io", help="HOST[:PORT] (default: docker.io)")
    if parser.prog.endswith("login"):
        parser.add_argument("--username", "-u", metavar="NAME", help="asked for where it is not given")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )
        parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to this registry")
        parser.add_argument(
            "--insecure-credentials",
            action="store_true",
            help="send the password over plain HTTP, too: everybody on the way can read it",
        )
        parser.set_defaults(handler=login)
    else:
        parser.set_defaults(handler=logout)


def login(arguments: argparse.Namespace) -> int:
    """Try a credential out and keep it; return the exit status."""
    from strake_oci.credentials.credential import Credential
    from strake_oci.credentials.docker_config import DockerConfig
    from strake_oci.credentials.login import save_login
    from strake_oci.credentials.sources import DockerConfigSource, config_path
    from strake_oci.errors import OCIError
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.settings import ClientSettings, RegistrySettings

    username = arguments.username or input("Username: ")
    if arguments.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("Password: ")
    access = RegistrySettings(plain_http=arguments.insecure, clear_credentials=arguments.insecure_credentials)
    settings = ClientSettings(registries={arguments.registry: access})
    credential = Credential("what was typed", username, password)
    document = DockerConfig("what was typed", {arguments.registry: credential})
    try:
        with RegistryClient(settings, DockerConfigSource(document)) as client:
            client.check_login(arguments.registry)
        where = save_login(config_path(), arguments.registry, username, password)
    except OCIError as error:
        sys.stderr.write(visible(f"error: {error}\n"))
        return 1
    sys.stdout.write(f"logged in to {arguments.registry}; kept in {where}\n")
    return 0


def logout(arguments: argparse.Namespace) -> int:
    """Forget a registry's credentials; return the exit status."""
    from strake_oci.credentials.login import forget_login
    from strake_oci.credentials.sources import config_path
    from strake_oci.errors import OCIError

    try:
        there = forget_login(config_path(), arguments.registry)
    except OCIError as error:
        sys.stderr.write(visible(f"error: {error}\n"))
        return 1
    sys.stdout.write(
        f"logged out of {arguments.registry}\n"
        if there
        else f"there were no credentials for {arguments.registry}\n"
    )
    return 0
