# One image with every program of Orderly; compose names the program to run.

FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY . .
# Both caches outlive the build: what we depend on is downloaded and compiled once. Our own sources
# are always compiled again, for cargo goes by their times, and a file older than the last build
# (edited during it, or unpacked from an archive) would count as built. They are named by package:
# what only tests depend on must add no feature to what ships.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    find contracts migrations workers -type f -exec touch {} + \
    && cargo build --locked --release \
        -p orderly-order -p orderly-stock -p orderly-payment -p orderly-ctl \
    && install -D --target-directory=/image/bin \
        target/release/order-worker target/release/stock-worker \
        target/release/payment-worker target/release/orderly \
    && mkdir /image/work

# Neither shell nor package manager: nothing but the C library, certificates and these programs.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /image/bin/ /usr/local/bin/
# Where `orderly` keeps what it is told to write, such as receipts; 65532 is the image's `nonroot`.
COPY --from=build --chown=65532:65532 /image/work /var/lib/orderly
WORKDIR /var/lib/orderly
USER 65532:65532
