"""Where a benchmark sends traces and metrics: every call is answered at once, and nothing is kept."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

import grpc


class Anything(grpc.GenericRpcHandler):
    """Answers whatever is called with an empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the one handler that there is."""
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    address = parser.parse_args().address
    server = grpc.server(ThreadPoolExecutor(2), (Anything(),))
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()
