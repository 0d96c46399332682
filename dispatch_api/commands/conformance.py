"""`outrider conformance`: recorded messages of real trackers against a running server, as a table by protocol."""

import argparse
import asyncio
import sys
from collections import Counter
from functools import partial

import aiohttp

from core.errors import OutriderError
from core.settings import Settings
from dispatch_api.commands import mqtt_users
from dispatch_api.commands.client import server_url
from dispatch_api.commands.database import app_engine
from dispatch_api.conformance import vectors
from dispatch_api.conformance.kit import Kit, Outcome
from dispatch_api.conformance.wires import Place

RESULTS = ("right", "refused", "wrong", "not sent")
BROKER_READS_S = 1.0


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Send all of a folder; the exit code: 0 when every vector was sent and came out as stated."""
    try:
        chosen = vectors.load(args.folder, args.protocol)
        if not chosen:
            raise OutriderError(f"{args.folder} holds no such vectors.")
        host = args.host or settings.host
        url = args.url or server_url(settings.model_copy(update={"host": host}))
        async with app_engine(settings) as engine, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http:
            kit = Kit(engine, Place(settings, host, url, http), partial(_tell_broker, settings, args))
            found = await kit.run(chosen)
    except (OutriderError, OSError, aiohttp.ClientError) as error:
        print(f"Nothing is shown: {error}", file=sys.stderr)
        return 1
    print(table(found))
    return 0 if all(outcome.result in {"right", "refused"} for outcome in found) else 1


async def _tell_broker(settings: Settings, args: argparse.Namespace) -> None:
    """Let the broker know the devices that were just registered, and give it a moment to read of them."""
    if args.mqtt_users and await mqtt_users.run(
        settings, argparse.Namespace(folder=args.mqtt_users, reload=args.reload)
    ):
        raise OutriderError("The broker does not know the devices.")
    if args.mqtt_users:
        await asyncio.sleep(BROKER_READS_S)


def table(found: list[Outcome]) -> str:
    """How many vectors of each protocol came out how, and below it what is wrong with which."""
    counts = Counter((outcome.vector.protocol, outcome.result) for outcome in found)
    lines = [f"{'protocol':<12}" + "".join(f"{result:>10}" for result in RESULTS)]
    for protocol in sorted({outcome.vector.protocol for outcome in found}):
        lines.append(f"{protocol:<12}" + "".join(f"{counts[protocol, result]:>10}" for result in RESULTS))
    totals = Counter(outcome.result for outcome in found)
    lines.append(f"{'all':<12}" + "".join(f"{totals[result]:>10}" for result in RESULTS))
    troubled = [each for each in found if each.result in {"wrong", "not sent"}]
    lines += [f"{each.result}  {each.vector.name}: {each.why}" for each in troubled]
    return "\n".join(lines)
