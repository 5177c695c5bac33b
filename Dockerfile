# syntax=docker/dockerfile:1
# Any image with Python 3.11 or 3.13 as python3. Pin by digest when you build for production:
# --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1 UV_PROJECT_ENVIRONMENT=/opt/gpuwarden
WORKDIR /src
# Debian's own Python makes virtual environments only with this package.
# hadolint ignore=DL3008
RUN python3 -c 'import ensurepip' 2>/dev/null || \
    { apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*; }
# The secret "packages" is optional: shell assignments such as UV_DEFAULT_INDEX, where packages come from an index of yours.
# "ca" is a bundle of certificates to trust while building, which "packages" may name. `make image` gives both.
RUN --mount=type=secret,id=packages --mount=type=secret,id=ca set -a; [ ! -e /run/secrets/packages ] || . /run/secrets/packages; \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
# Dependencies first: they change less often than the code. The Kubernetes client's asynchronous half is not used.
COPY pyproject.toml uv.lock ./
RUN --mount=type=secret,id=packages --mount=type=secret,id=ca set -a; [ ! -e /run/secrets/packages ] || . /run/secrets/packages; \
    /opt/uv/bin/uv sync --locked --no-default-groups --no-install-project
COPY README.md LICENSE ./
COPY man ./man
COPY webhook ./webhook
RUN --mount=type=secret,id=packages --mount=type=secret,id=ca set -a; [ ! -e /run/secrets/packages ] || . /run/secrets/packages; \
    /opt/uv/bin/uv sync --locked --no-default-groups --no-editable
# What gpuwarden never imports, tests, and sources of compiled modules; tests/image runs what is left.
COPY hack/prune.py hack/prune.py
RUN python3 hack/prune.py /opt/gpuwarden && \
    /opt/gpuwarden/bin/python -m compileall -q -j0 --invalidation-mode unchecked-hash /opt/gpuwarden/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="gpuwarden" \
      org.opencontainers.image.description="A Kubernetes admission webhook for GPU requests" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing here installs anything at run time. Python's own images contain no compiled standard library, so each start would compile it.
RUN if python3 -m pip --version >/dev/null 2>&1; then python3 -m pip uninstall --yes --no-cache-dir --root-user-action=ignore pip; fi && \
    stdlib="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && rm -rf "$stdlib/ensurepip" "$stdlib/test" /root/.cache && \
    python3 -m compileall -q -j0 --invalidation-mode unchecked-hash "$stdlib"
COPY --from=build /opt/gpuwarden /opt/gpuwarden
ENV PATH=/opt/gpuwarden/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can check it.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["gpuwarden"]
CMD ["serve"]
