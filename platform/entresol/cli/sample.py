"""A made-up news site of any size, the same for the same seed, in the columns of a posts file: nothing to download."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

COLUMNS = ("id", "title", "url", "num_points", "num_comments", "author", "created_at")
_FIRST_ID = 10_000_000
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_OPENINGS = (
    "Why",
    "How",
    "Show:",
    "Ask:",
    "The case for",
    "Notes on",
    "A short history of",
    "Rethinking",
    "Measuring",
)
_THINGS = (
    "tidal clocks", "paper maps", "slow compilers", "bicycle lanes", "sourdough", "city trees", "old radios",
    "night trains", "small databases", "library cards", "wind farms", "pocket telescopes", "tea", "queues",
    "lighthouses", "public benches", "typewriters", "canal locks", "weather stations", "ferry timetables",
)  # fmt: skip
_TURNS = (
    "in practice",
    "at scale",
    "for beginners",
    "after ten years",
    "without tears",
    "on a budget",
    "at night",
    "",
)
_SITES = ("notes", "journal", "lab", "blog", "papers", "field", "workshop", "atlas")
_NAMES = ("ada", "brook", "cleo", "dorian", "edda", "finn", "greta", "hugo", "iris", "jonas", "kira", "lev")


def rows(count: int, seed: int = 1) -> Iterator[tuple[str, ...]]:
    """Yield `count` posts. Points follow a Pareto law, as on real sites: most have few, some have thousands."""
    draw = random.Random(seed)  # noqa: S311 - made-up posts need repeatable numbers, not secret ones
    time = _BEGIN
    for index in range(count):
        time += timedelta(seconds=draw.expovariate(1 / 900))
        thing = draw.choice(_THINGS)
        title = " ".join(filter(None, (draw.choice(_OPENINGS), thing, draw.choice(_TURNS))))
        url = (
            f"https://{draw.choice(_SITES)}.example/{thing.replace(' ', '-')}/{index}"
            if draw.random() < 0.9
            else ""
        )
        points = min(int(draw.paretovariate(0.9)), 6000)
        author = f"{draw.choice(_NAMES)}{draw.randrange(300)}"
        comments = int(points * draw.random())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield (str(_FIRST_ID + index), f"{title} ({index})", url, str(points), str(comments), author, stamp)


def write(path: Path, count: int = 20_000, seed: int = 1) -> None:
    """Write the sample as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows(count, seed))
