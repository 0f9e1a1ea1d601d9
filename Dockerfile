# Strake's own images, built by Strake: `strake build --target builder …` and `--target operator`.
#
# BASE must be a Debian with Python 3.11 or later, venv and pip. crun, git, patchelf and busybox are installed
# where it lacks them.
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
COPY kubectl kubectl
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python AS builder-environment
COPY requirements/builder.txt /tmp/requirements.txt
# botocore describes every service of AWS, in 28 MB: five of them are asked.
RUN python3 -m venv /opt/strake && /opt/strake/bin/pip install --require-hashes -r /tmp/requirements.txt \
    && find /opt/strake/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
         ! -name ecr ! -name ecr-public ! -name kms ! -name s3 ! -name sts -exec rm -r {} + \
    && /opt/strake/bin/python -c "from botocore.session import get_session; \
         [get_session().create_client(name, region_name='us-east-1') for name in ('ecr', 'ecr-public', 'kms', 's3', 'sts')]"
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

# Everything of the builder's lies under /strake, so that the root is free for the image that is built, where
# steps run at the container's own root (docs/isolation.md). So programs must find loader and libraries there.
FROM python AS userland
RUN command -v crun git patchelf busybox >/dev/null || { \
      apt-get update && apt-get install --yes --no-install-recommends \
        busybox-static ca-certificates crun git openssh-client patchelf uidmap \
      && rm -rf /var/lib/apt/lists/*; }
COPY --from=builder-environment /opt/strake /opt/strake
RUN --mount=type=bind,source=deploy/image,target=/image sh /image/relocate.sh /strake/root

FROM scratch AS builder
COPY --from=userland /strake /strake
COPY --from=userland /outside /
ENV PATH=/strake:/strake/root/opt/strake/bin:/strake/root/usr/local/bin:/strake/root/usr/bin:/strake/root/bin:/strake/root/usr/sbin:/strake/root/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/kaniko \
    HOME=/root \
    DOCKER_CONFIG=/kaniko/.docker \
    TMPDIR=/strake/tmp \
    STRAKE_WORK_DIR=/strake/work \
    SSL_CERT_FILE=/strake/root/etc/ssl/certs/ca-certificates.crt \
    GIT_EXEC_PATH=/strake/root/usr/lib/git-core \
    GIT_TEMPLATE_DIR=/strake/root/usr/share/git-core/templates \
    GIT_SSL_CAINFO=/strake/root/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/strake/strake"]

# With a shell, for CI systems that run scripts in the builder's container.
FROM builder AS debug
COPY --from=userland /busybox /busybox
ENV PATH=/strake:/busybox:/strake/root/opt/strake/bin:/strake/root/usr/local/bin:/strake/root/usr/bin:/strake/root/bin:/strake/root/usr/sbin:/strake/root/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/kaniko
