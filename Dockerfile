# syntax=docker/dockerfile:1
# Pin by digest when you build for production: --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/gpuwarden
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.9
# Dependencies first: they change less often than the code.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-default-groups --no-install-project
COPY README.md LICENSE ./
COPY webhook ./webhook
RUN uv sync --locked --no-default-groups --no-editable

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="gpuwarden" \
      org.opencontainers.image.description="A Kubernetes admission webhook for GPU requests" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing here installs anything at run time.
RUN pip uninstall --yes pip && rm -rf /usr/local/lib/python3*/ensurepip /root/.cache
COPY --from=build /opt/gpuwarden /opt/gpuwarden
ENV PATH=/opt/gpuwarden/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can check it.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["gpuwarden"]
CMD ["serve"]
