"""The baseline of sending: aiohttp on uvloop posts ready-made bodies, and does nothing else.

No source, no diff, no mapping, no record of anything, no retry. Prints `{"seconds": ..., "requests": ...}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator

import aiohttp
import uvloop

BODY_BYTES = 500


async def post_bodies(url: str, count: int, concurrency: int) -> float:
    """Posts `count` bodies with `concurrency` workers and gives the seconds from the first to the last answer."""
    bodies = iter([_body(number) for number in range(count)])
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        started = time.perf_counter()
        await asyncio.gather(*(_work(session, f"{url}/resources/accounts", bodies) for _ in range(concurrency)))
        return time.perf_counter() - started


async def _work(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    headers = {"Content-Type": "application/json"}
    for body in bodies:
        async with session.post(url, data=body, headers=headers) as response:
            await response.read()
            response.raise_for_status()


def _body(number: int) -> bytes:
    start = f'{{"externalId":"{number}","name":"Account {number}","traits":{{"note":"'
    return f'{start}{"x" * (BODY_BYTES - len(start) - 3)}"}}}}'.encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="Posts ready-made bodies as fast as aiohttp and uvloop can.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=32)
    given = parser.parse_args()
    seconds = uvloop.run(post_bodies(given.url, given.count, given.concurrency))
    print(json.dumps({"seconds": round(seconds, 4), "requests": given.count}))


if __name__ == "__main__":
    main()
