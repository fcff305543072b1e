"""A control plane as small as can be: one name, one cluster, and the servers that a test says are in it."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

NAME = "stories"  # that callers dial as xds:///stories
_CLUSTER = "stories-servers"
_FOLDER = Path(__file__).parent
_ENVOY = "type.googleapis.com/envoy"
_LISTENER, _CLUSTERS, _ENDPOINTS, _MANAGER, _ROUTER = (
    f"{_ENVOY}.config.listener.v3.Listener",
    f"{_ENVOY}.config.cluster.v3.Cluster",
    f"{_ENVOY}.config.endpoint.v3.ClusterLoadAssignment",
    f"{_ENVOY}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    f"{_ENVOY}.extensions.filters.http.router.v3.Router",
)
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_EDS = 3  # a cluster whose servers are told apart from it


class ControlPlane:
    """Answers whoever asks; `tell` changes the servers for all of them. What they refuse is in `refused`."""

    def __init__(self, folder: Path) -> None:
        self._messages = _messages(folder)
        self._servers: tuple[str, ...] = ()
        self._version = 0
        self._streams: list[queue.SimpleQueue[Any]] = []
        self._lock = threading.Lock()
        self.refused: list[str] = []

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Listen while the block lasts."""
        request, response = self._messages["DiscoveryRequest"], self._messages["DiscoveryResponse"]
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream, request.FromString, response.SerializeToString
        )
        methods = {"StreamAggregatedResources": handler}
        server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, methods)])
        self._port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield self
        finally:
            server.stop(None).wait()

    @property
    def environment(self) -> dict[str, str]:
        """Return what a caller's process needs to find it."""
        here = {"server_uri": f"127.0.0.1:{self._port}", "channel_creds": [{"type": "insecure"}]}
        servers = [{**here, "server_features": ["xds_v3"]}]
        return {"GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps({"xds_servers": servers, "node": {"id": "test"}})}

    def tell(self, servers: Sequence[str]) -> None:
        """Have these servers, HOST:PORT, be in the cluster from now on."""
        with self._lock:
            self._servers = tuple(servers)
            self._version += 1
            for stream in self._streams:
                stream.put("changed")

    def _stream(self, requests: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(requests, inbox), daemon=True).start()
        with self._lock:
            self._streams.append(inbox)
        subscribed: dict[str, list[str]] = {}
        while (found := inbox.get()) is not None:
            if found == "changed":
                if _ENDPOINTS in subscribed:
                    yield self._answer(_ENDPOINTS)
                continue
            if found.error_detail.message:
                self.refused.append(found.error_detail.message)
            names = list(found.resource_names)
            if subscribed.get(found.type_url) != names:  # else it tells that it has what it was sent
                subscribed[found.type_url] = names
                yield self._answer(found.type_url)

    def _answer(self, kind: str) -> Any:
        with self._lock:
            version, servers = str(self._version), self._servers
        fields: Mapping[str, Any] = {
            _LISTENER: {"name": NAME, "api_listener": {"api_listener": self._manager()}},
            _CLUSTERS: {"name": _CLUSTER, "type": _EDS, "eds_cluster_config": {"eds_config": {"ads": {}}}},
            _ENDPOINTS: {"cluster_name": _CLUSTER, "endpoints": [_locality(servers)]},
        }[kind]
        answer = self._messages["DiscoveryResponse"]
        resource = self._packed(kind, fields)
        return answer(version_info=version, resources=[resource], type_url=kind, nonce=version)

    def _manager(self) -> Any:
        route = {"match": {"prefix": ""}, "route": {"cluster": _CLUSTER}}
        host = {"name": NAME, "domains": ["*"], "routes": [route]}
        router = {"name": "router", "typed_config": self._packed(_ROUTER, {})}
        fields = {"route_config": {"name": NAME, "virtual_hosts": [host]}, "http_filters": [router]}
        return self._packed(_MANAGER, fields)

    def _packed(self, kind: str, fields: Mapping[str, Any]) -> Any:
        """Return a message as an Any of the type that Envoy calls it by."""
        value = self._messages[kind.rpartition(".")[2]](**fields).SerializeToString()
        return {"type_url": kind, "value": value}


def _locality(servers: Sequence[str]) -> dict[str, Any]:
    places = [server.rpartition(":") for server in servers]
    addresses = [{"socket_address": {"address": host, "port_value": int(port)}} for host, _, port in places]
    endpoints = [{"endpoint": {"address": address}} for address in addresses]
    return {"locality": {"region": "here"}, "lb_endpoints": endpoints, "load_balancing_weight": {"value": 1}}


def _read(requests: Iterator[Any], inbox: queue.SimpleQueue[Any]) -> None:
    try:
        for request in requests:
            inbox.put(request)
    except grpc.RpcError:
        pass
    finally:
        inbox.put(None)


def _messages(folder: Path) -> dict[str, Any]:
    """Return the classes of the messages, by name, compiled from the proto beside this file."""
    compiled = folder / "discovery.binpb"
    include = Path(protoc.__file__).parent / "_proto"
    arguments = ("protoc", f"-I{_FOLDER}", f"-I{include}", "--include_imports")
    status = protoc.main([*arguments, f"--descriptor_set_out={compiled}", "discovery.proto"])
    assert status == 0
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    for file in files:
        pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{file.package}.{message.name}")
        )
        for file in files
        for message in file.message_type
        if file.name == "discovery.proto"
    }
