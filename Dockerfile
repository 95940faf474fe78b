# buildguard as a builder: a step of Cloud Build with `name: …/buildguard` and `args: [check, .]`.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

# a build of a trigger has its repository in the workspace, and git is asked what belongs to it
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*'
COPY pyproject.toml README.md LICENSE /src/
COPY buildguard /src/buildguard
COPY hooks /src/hooks
RUN pip install --no-cache-dir --disable-pip-version-check "/src[all]" && rm -rf /src

WORKDIR /workspace
ENTRYPOINT ["buildguard"]
