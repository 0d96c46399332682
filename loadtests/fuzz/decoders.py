"""Fuzz each decoder of trackers in a process of its own, beginning with real messages (F9).

`python -m loadtests.fuzz.decoders [--runs 1000000] [--only gt06 …] [--seed N]`

The exit code is 1 when a decoder raised what is not its own error, took longer than its input's length allows, or did
not do all of its runs; the input that broke it is printed.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

VECTORS = Path(__file__).parent.parent.parent / "tests/fixtures/protocol_vectors"
NAMES = ("teltonika", "gt06", "h02", "nmea", "cot")
LONGEST = 4_096
"""Bytes of an input; a decoder's frames are not much longer."""
EVENT = (
    '<event version="2.0" uid="A-1" type="{kind}" how="m-g" time="2026-05-01T11:59:59Z" start="2026-05-01T11:59:59Z"'
    ' stale="2026-05-01T12:04:59Z"><point lat="54.685" lon="25.27" hae="100" ce="5" le="9999999.0"/><detail>'
    '<contact callsign="V-1"/><track course="90" speed="10"/><status battery="80"/>'
    '<link uid="B-2" relation="p-p"/></detail></event>'
)
_DONE = re.compile(r"Done (\d+) runs")


def seeds(name: str) -> Iterator[bytes]:
    """Real messages of a protocol, whole and as the parts that a decoder is given behind its checksum."""
    if name == "cot":
        yield from (EVENT.format(kind=kind).encode() for kind in ("a-f-G-U-C", "b-a-o-tbl", "t-x-c-t"))
    for vector in json.loads((VECTORS / f"{name}.json").read_text()):
        payload: str = vector["payload"]
        raw = bytes.fromhex(payload) if vector["payload_encoding"] == "hex" else payload.encode()
        yield raw
        if name == "teltonika":
            yield raw[8:-4]
        elif name == "gt06":
            yield raw[3:4] + bytes([raw[0]]) + raw[4:-6]


def fuzz(name: str, runs: int, seed: int) -> str | None:
    """Run a decoder so often; what is wrong with it, or None."""
    with tempfile.TemporaryDirectory(prefix="outrider-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, sent in enumerate(seeds(name)):
            (corpus / str(number)).write_bytes(sent)
        began = time.monotonic()
        child = subprocess.run(
            [sys.executable, "-m", "loadtests.fuzz.one_decoder", name, str(corpus), f"-runs={runs}", f"-seed={seed}",
             f"-max_len={LONGEST}", f"-artifact_prefix={folder}/broke-"],
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        took_s = time.monotonic() - began
        broke = [file.read_bytes().hex() for file in Path(folder).glob("broke-*")]
    done = _DONE.search(child.stderr)
    executions = int(done[1]) if done else 0
    print(f"{name}: {executions} executions in {took_s:.0f} s, {executions / took_s:.0f} a second", flush=True)
    if child.returncode or executions < runs:
        return (
            f"{name}, exit code {child.returncode}: {' '.join(broke)}\n{child.stdout[-2_000:]}{child.stderr[-2_000:]}"
        )
    return None


def main(words: list[str]) -> int:
    """Fuzz and print; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000, help="of each decoder")
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES, metavar="NAME")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    arguments = parser.parse_args(words)
    print(f"seed {arguments.seed}", flush=True)
    wrong = [fuzz(name, arguments.runs, arguments.seed) for name in arguments.only]
    for line in filter(None, wrong):
        print(f"WRONG: {line}")
    return 1 if any(wrong) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
