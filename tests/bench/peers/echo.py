"""A bare service on grpc.aio: bytes in, as many as a story's bytes out. What the wire alone costs there."""

from __future__ import annotations

import argparse
import asyncio
import signal

import grpc
import uvloop

STORY = bytes(1024)


class Echo(grpc.GenericRpcHandler):
    """Answers every method alike."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(echo)


async def echo(request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
    return request + STORY


async def serve(address: str) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server(handlers=(Echo(),))
    server.add_insecure_port(address)
    await server.start()
    await stop.wait()
    await server.stop(grace=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True)
    uvloop.run(serve(parser.parse_known_args()[0].listen))
