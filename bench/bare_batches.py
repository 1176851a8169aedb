"""The baseline of batches: aiohttp on uvloop posts ready-made bodies of a hundred messages, and does nothing else.

No source, no diff, no mapping, no record of anything, no retry. The bodies have the shape and size of those that the
run sends; a few of them are made beforehand and posted again and again. Prints `{"seconds": ..., "requests": ...}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from itertools import cycle, islice

import aiohttp
import uvloop

BATCH = 100
BODIES = 50


async def post_batches(url: str, batches: int, concurrency: int) -> float:
    """Posts that many batches with `concurrency` workers and gives the seconds from the first to the last answer."""
    bodies = islice(cycle([_body(number) for number in range(BODIES)]), batches)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        started = time.perf_counter()
        await asyncio.gather(*(_work(session, f"{url}/analytics/v1/batch", bodies) for _ in range(concurrency)))
        return time.perf_counter() - started


async def _work(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": "Basic analytics"}
    for body in bodies:
        async with session.post(url, data=body, headers=headers) as response:
            await response.read()
            response.raise_for_status()


def _body(number: int) -> bytes:
    return json.dumps([_message(number * BATCH + place) for place in range(BATCH)], separators=(",", ":")).encode()


def _message(number: int) -> dict[str, object]:
    traits = {
        "name": f"Account {number}",
        "org_id": f"org-{number % 50_000}",
        "plan": "enterprise",
        "seats": number % 500,
        "mrr": number / 100,
        "renewal": "2026-05-05",
        "seen": "2026-05-05T12:34:56.000Z",
        "active": True,
        "region": "emea",
    }
    return {"type": "account", "accountId": str(number), "traits": traits, "messageId": f"{number:032x}"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Posts ready-made batches as fast as aiohttp and uvloop can.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=4)
    given = parser.parse_args()
    seconds = uvloop.run(post_batches(given.url, given.batches, given.concurrency))
    print(json.dumps({"seconds": round(seconds, 4), "requests": given.batches}))


if __name__ == "__main__":
    main()
