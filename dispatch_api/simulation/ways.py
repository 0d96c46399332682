"""Over which transports each protocol can be simulated; the first is the usual one."""

import json
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from core.settings import Settings
from dispatch_api.process import tls_client
from dispatch_api.simulation import speech, wires
from dispatch_api.simulation.vehicle import Reading
from dispatch_api.simulation.wires import Http, Place, Request, Tracker, Wire

Way = Callable[[Place, Tracker], Wire]


def _bearer(tracker: Tracker) -> str:
    return f"Bearer {tracker.key}"


def _basic(tracker: Tracker) -> str:
    return "Basic " + b64encode(f"{tracker.name}:{tracker.key}".encode()).decode()


def _own(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    return [Request(body=json.dumps(speech.own(readings)), authorization=_bearer(tracker))]


def _osmand(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    return [Request(query=speech.osmand(tracker.key, one)) for one in readings]


def _gpslogger(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    return [
        Request(body=speech.gpslogger(one), authorization=_basic(tracker), is_json=False) for one in readings
    ]  # fmt: skip


def _owntracks(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    return [Request(body=json.dumps(speech.owntracks(one)), authorization=_basic(tracker)) for one in readings]


def _overland(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    return [Request(body=json.dumps(speech.overland(readings)), authorization=_bearer(tracker))]


def _forwarded(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    each = (json.dumps(speech.forwarded(tracker.identifier, one)) for one in readings)
    return [Request(body=body, authorization=_bearer(tracker)) for body in each]


def _nmea(tracker: Tracker, readings: list[Reading]) -> list[Request]:
    body = "\r\n".join(speech.rmc(one) for one in readings)
    return [Request(body=body, authorization=_basic(tracker), is_json=False)]


def _http(path: str, requests: Callable[[Tracker, list[Reading]], list[Request]]) -> Way:
    return lambda place, tracker: Http(place, tracker, path, requests)


WAYS: dict[str, dict[str, Way]] = {
    "teltonika": {"tcp": wires.TeltonikaTcp, "udp": wires.TeltonikaUdp},
    "gt06": {"tcp": wires.Gt06Tcp, "udp": wires.Gt06Udp},
    "h02": {"tcp": wires.H02Tcp, "udp": wires.H02Udp},
    "cot": {"tcp": wires.Cot},
    "http": {"http": _http("/api/v1/positions", _own)},
    "osmand": {"http": _http("/ingest/osmand", _osmand)},
    "gpslogger": {"http": _http("/ingest/gpslogger", _gpslogger)},
    "owntracks": {"mqtt": wires.Mqtt, "http": _http("/ingest/owntracks", _owntracks)},
    "overland": {"http": _http("/ingest/overland", _overland)},
    "nmea": {"http": _http("/ingest/nmea", _nmea)},
    "traccar": {"http": _http("/ingest/traccar", _forwarded)},
}


def certificates(settings: Settings) -> Callable[[str], ssl.SSLContext | None]:
    """How a tablet's connection is made secure: with its own certificate where the gateway asks for one."""
    folder = Path(settings.data_dir).resolve() / "tls"

    def secure(name: str) -> ssl.SSLContext | None:
        if settings.cot_client_ca is None:
            return None
        sealed = (folder / f"{name}.p12").read_bytes()
        key, certificate, _ = pkcs12.load_key_and_certificates(sealed, tls_client.PASSWORD)
        assert key is not None
        assert certificate is not None
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        found = wires.unchecked()
        with tempfile.NamedTemporaryFile() as file:  # the ssl module reads files alone
            file.write(pem + certificate.public_bytes(Encoding.PEM))
            file.flush()
            found.load_cert_chain(file.name)
        return found

    return secure
