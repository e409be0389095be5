# The image of moggy: both programs, certificates, and nothing else; no shell.
#
#	docker build -t moggy .
#
# The version of Go is that of go.mod. This variant has git, by which the programs know the commit they were built from.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .
ARG TARGETOS TARGETARCH
# Static (no C), the same on every machine (-trimpath), without debugging symbols (-s -w).
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/moggyd ./cmd/moggy

# What else is in the image: one user, who is not root, and directories that have to be there.
RUN mkdir -p /root.d/etc/moggy /root.d/etc/ssl/certs /root.d/usr/bin /root.d/usr/sbin /state.d && \
    echo 'moggy:x:65532:65532:moggy:/var/lib/moggy:/sbin/nologin' >/root.d/etc/passwd && \
    echo 'moggy:x:65532:' >/root.d/etc/group && \
    cp /etc/ssl/certs/ca-certificates.crt /root.d/etc/ssl/certs/ && \
    cp /out/moggyd /root.d/usr/sbin/ && cp /out/moggy /root.d/usr/bin/

FROM scratch
COPY --from=build /root.d/ /
# State belongs to the user, and so do volumes that are made from it.
COPY --from=build --chown=65532:65532 /state.d/ /var/lib/moggy/

# Where daemon and tool find each other, whatever moggy.toml says or if there is none.
ENV PATH=/usr/sbin:/usr/bin STATE_DIRECTORY=/var/lib/moggy
USER 65532:65532
WORKDIR /var/lib/moggy
VOLUME /var/lib/moggy
# SMTP; 9925 is /metrics.
EXPOSE 25 9925

# 0 when moggyd runs and its listeners have backends that answer. No shell is needed, and there is none.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["/usr/bin/moggy", "status", "--ready"]
ENTRYPOINT ["/usr/sbin/moggyd"]
