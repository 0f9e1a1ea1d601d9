"""The wire models of image configs, apart from `image` so that the types there can be read at a glance."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_oci.spec.wire import KeySet, StringMap, Strings, Text, WireModel


class HealthcheckModel(WireModel):
    """Docker's `HealthConfig`."""

    test: Annotated[Strings, Field(alias="Test")] = Field(default_factory=list)
    interval: Annotated[int, Field(alias="Interval")] = 0
    timeout: Annotated[int, Field(alias="Timeout")] = 0
    start_period: Annotated[int, Field(alias="StartPeriod")] = 0
    start_interval: Annotated[int, Field(alias="StartInterval")] = 0
    retries: Annotated[int, Field(alias="Retries")] = 0


class RuntimeModel(WireModel):
    """config.md, `config`."""

    user: Annotated[Text, Field(alias="User")] = ""
    exposed_ports: Annotated[KeySet, Field(alias="ExposedPorts")] = Field(default_factory=dict)
    env: Annotated[Strings, Field(alias="Env")] = Field(default_factory=list)
    entrypoint: Annotated[list[str] | None, Field(alias="Entrypoint")] = None
    cmd: Annotated[list[str] | None, Field(alias="Cmd")] = None
    volumes: Annotated[KeySet, Field(alias="Volumes")] = Field(default_factory=dict)
    working_dir: Annotated[Text, Field(alias="WorkingDir")] = ""
    labels: Annotated[StringMap, Field(alias="Labels")] = Field(default_factory=dict)
    stop_signal: Annotated[Text, Field(alias="StopSignal")] = ""
    healthcheck: Annotated[HealthcheckModel | None, Field(alias="Healthcheck")] = None
    shell: Annotated[list[str] | None, Field(alias="Shell")] = None
    on_build: Annotated[Strings, Field(alias="OnBuild")] = Field(default_factory=list)
    args_escaped: Annotated[bool | None, Field(alias="ArgsEscaped")] = None


class HistoryModel(WireModel):
    """config.md, `history`."""

    created: str | None = None
    created_by: Text = ""
    author: Text = ""
    comment: Text = ""
    empty_layer: bool | None = None


class RootfsModel(WireModel):
    """config.md, `rootfs`."""

    type: Text = "layers"
    diff_ids: Strings = Field(default_factory=list)


class ImageModel(WireModel):
    """config.md, `Properties`."""

    created: str | None = None
    author: Text = ""
    architecture: Text = ""
    os: Text = ""
    os_version: Annotated[Text, Field(alias="os.version")] = ""
    os_features: Annotated[Strings, Field(alias="os.features")] = Field(default_factory=list)
    variant: Text = ""
    config: RuntimeModel | None = None
    rootfs: RootfsModel = Field(default_factory=RootfsModel)
    history: list[HistoryModel] | None = None
