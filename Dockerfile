# Packs the root folders that `make image` made: no base image, nothing is downloaded here, no command runs.
#
#   make image && docker build --tag sluice:dev .
#   docker buildx build --platform linux/amd64,linux/arm64 .       after both were made, see docs/image.md
#
# `make image` also writes the same image as an OCI archive, which needs no Docker. That archive is what the tests run; this file
# is not built by them.
FROM scratch
ARG TARGETARCH=amd64
COPY build/image/${TARGETARCH}/base/ /
COPY build/image/${TARGETARCH}/modules/ /
COPY build/image/${TARGETARCH}/app/ /
ENV PATH=/usr/bin:/bin \
    SLUICE_PROBE=/usr/lib/sluice/sluice-probe \
    MALLOC_ARENA_MAX=1 \
    NODE_OPTIONS="--disable-warning=ExperimentalWarning --max-semi-space-size=4"
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/bin/sluice"]
