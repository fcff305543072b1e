#!/bin/sh
# Build the Go peer: build.sh OUTPUT [PYTHON]
#
# PYTHON has grpcio-tools, whose protoc makes the messages of ../stories.proto; without it $PYTHON is taken, else the
# repository's .venv. The generators' versions are those of go.mod. Nothing is written but OUTPUT.
set -eu

[ $# -ge 1 ] || { echo "usage: build.sh OUTPUT [PYTHON]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python=${2:-${PYTHON:-$here/../../../../.venv/bin/python}}
mkdir -p "$(dirname "$1")"
output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

cp "$here/go.mod" "$here/go.sum" "$here/main.go" "$build"
GOBIN=$build/bin go -C "$build" install tool
"$python" -m grpc_tools.protoc -I "$here/.." \
  --plugin="$build/bin/protoc-gen-go" --plugin="$build/bin/protoc-gen-go-grpc" \
  --go_out="$build" --go_opt=module=entresol.dev/bench/peers/go \
  --go_opt=Mstories.proto=entresol.dev/bench/peers/go/storiespb \
  --go-grpc_out="$build" --go-grpc_opt=module=entresol.dev/bench/peers/go \
  --go-grpc_opt=Mstories.proto=entresol.dev/bench/peers/go/storiespb \
  stories.proto
go -C "$build" build -trimpath -o "$output" .
