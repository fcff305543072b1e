"""`entresol serve` with something amiss: it dies between a commit and its put, or its wall clock jumps on SIGUSR2."""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
from typing import Any

from entresol.cache.entries import Entries
from entresol.cli.run import run
from entresol.cli.serve import serve
from entresol.clock import Clock
from entresol.config import Settings

SKEW_S_MAX = 3600.0


def die_before_puts(share: float, dice: random.Random) -> None:
    """End the process, as kill -9 would, before this share of all puts: their transactions are committed."""
    put = Entries.put

    async def put_or_die(self: Entries, *arguments: Any, **named: Any) -> str:
        if dice.random() < share:
            os.kill(os.getpid(), signal.SIGKILL)
        return await put(self, *arguments, **named)

    Entries.put = put_or_die


def lose_puts(share: float, dice: random.Random) -> None:
    """Lose this share of all puts of this process, as if it had ended before each."""
    put = Entries.put

    async def put_or_not(self: Entries, *arguments: Any, **named: Any) -> str:
        return "failed" if dice.random() < share else await put(self, *arguments, **named)

    Entries.put = put_or_not


def skew(dice: random.Random) -> None:
    """Let the platform's wall clock jump by up to an hour, either way, at each SIGUSR2."""
    offset_s = 0.0

    def jump(*_: object) -> None:
        nonlocal offset_s
        offset_s = dice.uniform(-SKEW_S_MAX, SKEW_S_MAX)

    signal.signal(signal.SIGUSR2, jump)
    Clock.now_s = lambda _: time.time() + offset_s


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--die-before-puts", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    dice = random.Random(f"{given.seed}/{os.getpid()}")
    die_before_puts(given.die_before_puts, dice)
    skew(dice)
    run(serve(Settings.load()))


if __name__ == "__main__":
    main()
