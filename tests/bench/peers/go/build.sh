#!/bin/sh
# Build the peers in Go, `stories` and `gozero`: build.sh FOLDER [PYTHON]
#
# PYTHON has grpcio-tools, whose protoc makes the messages of ../stories.proto; without it $PYTHON is taken, else the
# repository's .venv. The generators' versions are those of go.mod. Nothing is written but the two in FOLDER.
set -eu

[ $# -ge 1 ] || { echo "usage: build.sh FOLDER [PYTHON]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python=${2:-${PYTHON:-$here/../../../../.venv/bin/python}}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

cp -R "$here/go.mod" "$here/go.sum" "$here/main.go" "$here/story" "$here/gozero" "$build"
GOBIN=$build/bin go -C "$build" install tool
"$python" -m grpc_tools.protoc -I "$here/.." \
  --plugin="$build/bin/protoc-gen-go" --plugin="$build/bin/protoc-gen-go-grpc" \
  --go_out="$build" --go_opt=module=entresol.dev/bench/peers/go \
  --go_opt=Mstories.proto=entresol.dev/bench/peers/go/storiespb \
  --go-grpc_out="$build" --go-grpc_opt=module=entresol.dev/bench/peers/go \
  --go-grpc_opt=Mstories.proto=entresol.dev/bench/peers/go/storiespb \
  stories.proto
go -C "$build" build -trimpath -o "$folder/stories" .
go -C "$build" build -trimpath -o "$folder/gozero" ./gozero
