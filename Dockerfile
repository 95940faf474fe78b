# buildguard as a builder: a step of Cloud Build with `name: …/buildguard` and `args: [check, .]`.
# `scripts/builder-image BASE TAG` builds it. BASE has no default: name an image by its digest (python:3.12-slim@sha256:…).
ARG BASE
FROM ${BASE}

# a build of a trigger has its repository in the workspace, and git is asked what belongs to it
RUN command -v git >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*; }
COPY dist/builder/ /opt/buildguard/
ENV GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=* \
    HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/buildguard

USER 65534:65534
WORKDIR /workspace
ENTRYPOINT ["python3", "-P", "-m", "buildguard"]
