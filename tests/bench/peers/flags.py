"""The flags of every peer, and how they reach the workers of one that has workers: by the environment."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, dataclass, fields
from urllib.parse import urlsplit

PREFIX = "PEER_"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the flags that every peer has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--database-write", required=True)
    parser.add_argument("--database-read", required=True)
    parser.add_argument("--cache", default="")
    return parser


@dataclass(frozen=True)
class Flags:
    """Where a peer listens and where its stores are; no `cache` is "" ."""

    listen: str
    database_write: str
    database_read: str
    cache: str

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Flags:
        return cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})

    @classmethod
    def from_environment(cls) -> Flags:
        return cls(**{field.name: os.environ[PREFIX + field.name.upper()] for field in fields(cls)})

    def to_environment(self) -> None:
        os.environ.update({PREFIX + name.upper(): value for name, value in asdict(self).items()})

    @property
    def cache_prefix(self) -> str:
        """Name of the database: peers that share a Redis each keep something else of a story in it."""
        return urlsplit(self.database_write).path.strip("/")

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])
