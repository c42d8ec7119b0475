# The image of the controller. All of it is in image/assemble, which can be run without Docker;
# image/check runs what it made.
FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
RUN image/assemble /image

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/bin/bluegreen-controller"]
