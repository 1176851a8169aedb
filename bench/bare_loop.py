"""The baseline of sending: aiohttp on uvloop puts ready-made bodies, and does nothing else.

The HTTP work is that of a run over `bench.tables`: PUT, an address for each record, the same headers, bodies of the
same fields. No source, no diff, no mapping, no record of anything, no retry.
Prints `{"seconds": ..., "requests": ...}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator

import aiohttp
import uvloop

# As the run sends them: what a write says, who sends, and a credential of the usual length.
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "headrace/0.1.0",
    "Authorization": "Basic c2tfbGl2ZV90ZXN0Og==",
}
_PLANS = ("free", "starter", "growth", "business", "enterprise")
_REGIONS = ("emea", "amer", "apac", "latam")

Put = tuple[str, bytes]


async def put_bodies(url: str, count: int, concurrency: int) -> float:
    """Puts `count` bodies with `concurrency` workers and gives the seconds from the first to the last answer."""
    puts = iter([(f"{url}/resources/accounts/{number}", _body(number)) for number in range(1, count + 1)])
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as session:
        started = time.perf_counter()
        await asyncio.gather(*(_work(session, puts) for _ in range(concurrency)))
        return time.perf_counter() - started


async def _work(session: aiohttp.ClientSession, puts: Iterator[Put]) -> None:
    for url, body in puts:
        async with session.put(url, data=body) as response:
            await response.read()
            response.raise_for_status()


def _body(number: int) -> bytes:
    """The account of that number as the mapping of `bench.project` makes it, traits included."""
    traits = {
        "org_id": f"org-{number * 7919 % 50_000}",
        "plan": _PLANS[number % 5],
        "seats": number * 31 % 500,
        "mrr": number * 104_729 % 1_000_000 / 100,
        "renewal": f"2026-{1 + number % 12:02}-{1 + number % 28:02}",
        "seen": f"2026-{1 + number % 8:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:{number % 59:02}Z",
        "active": number % 7 != 0,
        "region": _REGIONS[number % 4],
    }
    return json.dumps({"name": f"Account {number}", "traits": traits}, separators=(",", ":")).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="Puts ready-made bodies as fast as aiohttp and uvloop can.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=32)
    given = parser.parse_args()
    seconds = uvloop.run(put_bodies(given.url, given.count, given.concurrency))
    print(json.dumps({"seconds": round(seconds, 4), "requests": given.count}))


if __name__ == "__main__":
    main()
