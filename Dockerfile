# Strake's own images, built by Strake: `strake build --target builder …` and `--target operator`.
#
# BASE must have Python 3.11 or later with venv and pip, a shell and mount(8). crun and git are installed where it lacks them.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS python
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

FROM python AS wheel
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY oci oci
COPY builder builder
COPY operator operator
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python AS builder-environment
COPY requirements/builder.txt /tmp/requirements.txt
# botocore describes every service of AWS, in 28 MB: three of them are asked.
RUN python3 -m venv /opt/strake && /opt/strake/bin/pip install --require-hashes -r /tmp/requirements.txt \
    && find /opt/strake/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
         ! -name ecr ! -name ecr-public ! -name sts -exec rm -r {} + \
    && /opt/strake/bin/python -c "from botocore.session import get_session; \
         [get_session().create_client(name, region_name='us-east-1') for name in ('ecr', 'ecr-public', 'sts')]"
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /opt/strake/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/strake/bin/python -m compileall -q /opt/strake/lib

FROM python AS operator-environment
COPY requirements/operator.txt /tmp/requirements.txt
RUN python3 -m venv /opt/strake && /opt/strake/bin/pip install --require-hashes -r /tmp/requirements.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /opt/strake/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/strake/bin/python -m compileall -q /opt/strake/lib

FROM python AS operator
COPY --from=operator-environment /opt/strake /opt/strake
USER 65532:65532
ENTRYPOINT ["/opt/strake/bin/strake-operator"]

FROM python AS builder
RUN command -v crun git >/dev/null || { \
      apt-get update && apt-get install --yes --no-install-recommends ca-certificates crun git openssh-client \
      && rm -rf /var/lib/apt/lists/*; }
COPY --from=builder-environment /opt/strake /opt/strake
ENV PATH=/opt/strake/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENTRYPOINT ["/opt/strake/bin/strake"]
