"""The HTTP of `Kubernetes`: paths, discovery, lists, watches and bodies, as clients of Kubernetes speak them."""

from __future__ import annotations

import base64
import copy
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from tests.chart.kubernetes import KINDS, Key, Kubernetes, Object, RefusedError

WATCH_S_MAX = 60.0
VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
# How clients written in Go send what they know by type: four bytes, then `runtime.Unknown` around the object.
_PROTOBUF = b"k8s\x00"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `Kubernetes.written` is what tests look at."""

    def answer(self) -> None:
        split = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        try:
            found = discovered(split.path.rstrip("/"))
            if found is None:
                self.serve(*_route(split.path), query, body)
            else:
                self.send(200, found)
        except RefusedError as error:
            self.send(error.code, error.status())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def serve(self, key: Key, part: str, query: dict[str, str], body: bytes) -> None:
        kubernetes: Kubernetes = self.server.kubernetes
        group, plural, namespace, name = key
        if self.command == "GET" and part == "log":
            self.send_text(b"over\n")
        elif self.command == "GET" and name:
            self.send(200, kubernetes.read(key))
        elif self.command == "GET" and query.get("watch") in ("1", "true"):
            self.watch(key, query)
        elif self.command == "GET":
            items = [item for _, item in kubernetes.list(group, plural, namespace) if _chosen(item, query)]
            metadata = {"resourceVersion": str(kubernetes.version)}
            kind = f"{KINDS[group][plural]}List"
            self.send(200, {"kind": kind, "apiVersion": group, "metadata": metadata, "items": items})
        elif self.command == "DELETE":
            kubernetes.delete(key)
            self.send(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        else:
            self.write(kubernetes, key, query, _decoded(body))

    def write(self, kubernetes: Kubernetes, key: Key, query: dict[str, str], item: Object) -> None:
        kind = self.headers.get("Content-Type", "")
        if "dryRun" in query:
            self.send(200, item)
        elif self.command == "POST":
            self.send(201, kubernetes.create((*key[:3], item["metadata"]["name"]), item))
        elif self.command == "PUT" or kind.startswith("application/apply-patch"):
            self.send(200, kubernetes.apply(key, item))
        else:
            self.send(200, kubernetes.patch(key, item, strategic="strategic" in kind))

    def watch(self, key: Key, query: dict[str, str]) -> None:
        """Send what changes as it does, until the client's time is over."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in _events(self.server.kubernetes, key, query):
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # the client has seen what it waited for

    def send(self, code: int, item: Object) -> None:
        self.send_text(json.dumps(item).encode(), code, "application/json")

    def send_text(self, text: bytes, code: int = 200, kind: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Server(ThreadingHTTPServer):
    """The API of one `Kubernetes`, on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, kubernetes: Kubernetes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kubernetes = kubernetes

    def write_kubeconfig(self, path: Path) -> None:
        """Write what clients need to find the server."""
        cluster = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{self.server_address[1]}"}}
        context = {"name": "here", "context": {"cluster": "here", "user": "nobody", "namespace": "shop"}}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "here"}
        lists = {"clusters": [cluster], "contexts": [context], "users": [{"name": "nobody", "user": {}}]}
        path.write_text(json.dumps({**config, **lists}))


def discovered(path: str) -> Object | None:
    """Return what the server tells of itself at this path; None: it is an object's."""
    if path == "/version":
        return VERSION
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        versions = [
            {"groupVersion": group, "version": group.split("/")[1]} for group in KINDS if "/" in group
        ]
        groups = [
            {"name": one["groupVersion"].split("/")[0], "versions": [one], "preferredVersion": one}
            for one in versions
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path == "/openapi/v3":
        return {
            "paths": {
                _root(group)[1:]: {"serverRelativeURL": f"/openapi/v3{_root(group)}"} for group in KINDS
            }
        }
    for group, kinds in KINDS.items():
        if path == _root(group):
            resources = [
                {
                    "name": plural,
                    "singularName": "",
                    "namespaced": kind != "Namespace",
                    "kind": kind,
                    "verbs": VERBS,
                }
                for plural, kind in kinds.items()
            ]
            return {"kind": "APIResourceList", "groupVersion": group, "resources": resources}
        if path == f"/openapi/v3{_root(group)}":
            return _openapi(group)
    return None


def _root(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"


def _openapi(group: str) -> Object:
    """Tell no more than that unknown fields are looked for, which helm asks before it lets the server look."""
    name, _, version = group.rpartition("/")
    paths = {}
    for plural, kind in KINDS[group].items():
        place = "" if kind == "Namespace" else "/namespaces/{namespace}"
        paths[f"{_root(group)}{place}/{plural}/{{name}}"] = {
            "patch": {
                "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": name, "version": version, "kind": kind},
            }
        }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.0"}, "paths": paths}


def _route(path: str) -> tuple[Key, str]:
    """Return the object's or list's key, and what part of it is asked for."""
    parts = path.strip("/").split("/")
    group, rest = ("v1", parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, part = (*rest, "", "", "")[:3]
    if plural not in KINDS.get(group, {}):
        raise RefusedError(404, "NotFound", f"the server could not find the requested resource {path}")
    return (group, plural, namespace, name), part


def _chosen(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels", {})
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = term.replace("==", "=").partition("=")
        if (labels.get(name.rstrip("!")) == value) is name.endswith("!"):
            return False
    wanted = dict(term.split("=", 1) for term in query.get("fieldSelector", "").split(",") if term)
    return wanted.get("metadata.name", item["metadata"]["name"]) == item["metadata"]["name"]


def _events(kubernetes: Kubernetes, key: Key, query: dict[str, str]) -> Iterator[Object]:
    group, plural, namespace, _ = key
    since = int(query.get("resourceVersion") or 0)
    until = time.monotonic() + min(WATCH_S_MAX, float(query.get("timeoutSeconds") or WATCH_S_MAX))
    if query.get("sendInitialEvents") == "true":
        since = kubernetes.version
        for _, item in kubernetes.list(group, plural, namespace):
            if _chosen(item, query):
                yield {"type": "ADDED", "object": copy.deepcopy(item)}
        annotations = {"k8s.io/initial-events-end": "true"}
        metadata = {"resourceVersion": str(since), "annotations": annotations}
        kind = KINDS[group][plural]
        yield {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": group, "metadata": metadata}}
    seen = 0
    while (left := until - time.monotonic()) > 0:
        with kubernetes.changed:
            if seen == len(kubernetes.events):
                kubernetes.changed.wait(left)
            news, seen = kubernetes.events[seen:], len(kubernetes.events)
        for version, at, event in news:
            concerns = at[:2] == (group, plural) and namespace in ("", at[2])
            if concerns and version > since and _chosen(event["object"], query):
                yield event


def _decoded(body: bytes) -> Object:
    if not body.startswith(_PROTOBUF):
        found: Object = yaml.safe_load(body)
        return found
    envelope = dict(_fields(body[len(_PROTOBUF) :]))
    fields = _fields(envelope[2])
    metadata = _fields(dict(fields)[1])
    kind = dict(_fields(envelope[1]))[2].decode()
    if kind != "Secret":  # helm's own releases; all else it sends as JSON
        raise RefusedError(415, "UnsupportedMediaType", f"{kind} as protobuf")
    return {
        "metadata": {
            "name": dict(metadata)[1].decode(),
            "labels": _pairs(metadata, 11, bytes.decode),
            "annotations": _pairs(metadata, 12, bytes.decode),
        },
        "data": _pairs(fields, 2, lambda value: base64.b64encode(value).decode()),
        "type": dict(fields)[3].decode(),
    }


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """Return the fields of a message that have a length, by their numbers; numbers are left out."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            found.append((tag >> 3, message[at : at + size]))
            at += size
        else:
            assert tag & 7 == 0, "no field of these messages has a fixed size"
            varint()
    return found


def _pairs(fields: list[tuple[int, bytes]], number: int, text: Callable[[bytes], str]) -> dict[str, str]:
    entries = [dict(_fields(entry)) for at, entry in fields if at == number]
    return {entry[1].decode(): text(entry.get(2, b"")) for entry in entries}
