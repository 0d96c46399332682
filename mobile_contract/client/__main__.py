"""The reference client at a terminal: `python -m mobile_contract.client --server URL --store FILE enrol|run|…`."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from mobile_contract.client.officer import Officer, now
from mobile_contract.client.wire import Later, Refused, Revoked

OWNERS = {"task": "task_id", "violation": "violation_id", "stop-form": "stop_form_id"}


def parser() -> argparse.ArgumentParser:
    """The words it understands."""
    made = argparse.ArgumentParser(prog="python -m mobile_contract.client", description=__doc__)
    made.add_argument("--server", default="http://127.0.0.1:8000")
    made.add_argument("--store", type=Path, default=Path("officer.sqlite"), help="where the inbox and outbox are kept")
    made.add_argument("--pin", help="the installation's PIN")
    words = made.add_subparsers(dest="word", required=True)
    enrol = words.add_parser("enrol", help="make this an installation of an officer")
    enrol.add_argument("--login", required=True)
    enrol.add_argument("--password", required=True)
    enrol.add_argument("--code", help="code of the second factor, for who has one")
    enrol.add_argument("--name", default="reference client")
    run = words.add_parser("run", help="keep the inbox, send the outbox, print what comes as lines of JSON")
    run.add_argument("--seconds", type=float, help="stop after so long")
    words.add_parser("inbox", help="print what is stored")
    words.add_parser("outbox", help="print what waits and what was refused")
    words.add_parser("send", help="send what waits")
    step = words.add_parser("step", help="take a step of a task: acknowledge, en_route, on_scene, complete, …")
    step.add_argument("task")
    step.add_argument("verb")
    step.add_argument("--reason-code")
    step.add_argument("--reason")
    step.add_argument("--result")
    post = words.add_parser("post", help="anything else: a path and its body, such as /violations '{…}'")
    post.add_argument("path")
    post.add_argument("body", type=json.loads)
    attach = words.add_parser("attach", help="a photo or file")
    attach.add_argument("of", choices=sorted(OWNERS))
    attach.add_argument("id")
    attach.add_argument("file", type=Path)
    return made


def tell(what: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(what, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


async def work(given: argparse.Namespace) -> int:
    """Do as told; the exit code."""
    async with Officer.at(given.server, given.store, tell) as officer:
        match given.word:
            case "inbox":
                for item in officer.store.inbox():
                    tell(item)
                return 0
            case "outbox":
                for entry in [*officer.store.outbox(), *officer.store.outbox("refused")]:
                    tell(vars(entry))
                return 0
            case "enrol":
                await officer.enrol(given.login, given.password, given.pin, given.name, given.code)
                return 0
            case "step":
                officer.step(
                    given.task, given.verb, reason_code=given.reason_code, reason=given.reason, result=given.result
                )
            case "post":
                officer.do(given.path, **given.body)
            case "attach":
                officer.attach(given.file, **{OWNERS[given.of]: given.id})
        await _connect(officer, given)
        return int(bool(officer.store.outbox()))


async def _connect(officer: Officer, given: argparse.Namespace) -> None:
    if given.word != "run":
        await officer.sign_in(given.pin)
        await officer.flush()
        return
    try:
        await officer.sign_in(given.pin)
    except Later:
        tell({"kind": "offline", "at": now()})
    async with asyncio.timeout(given.seconds):
        await officer.run()


def main() -> int:
    """Run; 0 when everything was sent, 1 when something waits, 2 when the server refused who asks."""
    given = parser().parse_args()
    try:
        return asyncio.run(work(given))
    except (Refused, Revoked) as refused:
        tell({"kind": "refused", "detail": str(refused)})
        return 2
    except (Later, TimeoutError, KeyboardInterrupt):
        return 1 if given.word != "run" else 0


if __name__ == "__main__":
    sys.exit(main())
