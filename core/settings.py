"""Every setting, read once from `OUTRIDER_*` variables or `.env`, then passed down."""

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.actor import Role


def _object(value: Any) -> Any:
    """What a variable holds as JSON; raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error


def _box(value: str) -> str:
    """A box as it is written, or nothing; raises ValueError."""
    try:
        west, south, east, north = map(float, value.split(",")) if value.strip() else (0, 0, 1, 1)
        right = -180 <= west < east <= 180 and -90 <= south < north <= 90
    except ValueError:
        right = False
    if not right:
        raise ValueError("it is to be min_lon,min_lat,max_lon,max_lat in degrees, or empty")
    return value


def _networks(value: str) -> str:
    """Addresses and networks as they are written; raises ValueError."""
    for part in filter(None, map(str.strip, value.split(","))):
        try:
            ip_network(part, strict=False)
        except ValueError as error:
            raise ValueError("it is to be addresses or networks such as 10.0.0.5,10.1.0.0/16, no names") from error
    return value


def _roles(value: str) -> str:
    """Roles as they are written; raises ValueError."""
    if not {part.strip() for part in value.split(",")} - {""} <= set(Role):
        raise ValueError(f"it is to be roles, comma separated, or empty; the roles are {', '.join(Role)}")
    return value


_Json = (NoDecode, BeforeValidator(_object))


class Settings(BaseSettings):
    """The settings of one process; `outrider doctor` lists them with meaning, default and state."""

    model_config = SettingsConfigDict(env_prefix="OUTRIDER_", env_file=".env", extra="ignore")

    database_url: str | None = Field(None, description="PostgreSQL the servers use; unset: the private one")
    owner_database_url: str | None = Field(None, description="the same database as its owner, for migrations")
    ingest_database_url: str | None = Field(None, description="the same database as the ingest role")
    data_dir: Path = Field(Path("var"), description="folder of the private database, imports and audit heads")
    host: str = Field("127.0.0.1", description="address the server listens on")
    port: int = Field(8000, ge=0, le=65535, description="port the server listens on")
    demo: bool = Field(False, description="load and drive the demonstration on an empty database")
    demo_on_network: bool = Field(False, description="allow the demonstration on an address others can reach")
    tls_cert: Path | None = Field(None, description="server certificate chain (PEM)")
    tls_key: Path | None = Field(None, description="private key of the certificate (PEM)")
    allowed_origins: str = Field("", description="further origins browsers may use, comma separated")
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        "", description="proxy addresses whose X-Forwarded-For counts, comma separated"
    )
    metrics_token: SecretStr | None = Field(None, description="bearer token of /metrics")
    audit_head_dir: Path | None = Field(None, description="folder for each day's audit head; unset: data folder")
    retention_days: int = Field(90, ge=1, le=3650, description="days raw positions are kept after receipt")
    retention_patrol_days: int = Field(1096, ge=30, le=36_500, description="days patrol minutes and ingest counts stay")
    retention_duty_days: int = Field(1096, ge=30, le=36_500, description="days tasks, notices, inboxes, shifts stay")
    retention_violation_days: int = Field(3653, ge=30, le=36_500, description="days violations are kept")
    retention_names_days: int = Field(365, ge=30, le=36_500, description="days names stay in stops that found nothing")
    retention_audit_years: int = Field(1, ge=1, le=100, description="full years audit rows are kept after their own")
    retention_raw_days: int = Field(7, ge=1, le=90, description="days undecodable frames of trackers are kept")
    log_level: str = Field("info", description="debug, info, warning or error")
    timezone: str = Field("Europe/Vilnius", description="zone of local days in periods and reports")
    operating_bbox: Annotated[str, AfterValidator(_box)] = Field(
        "20.5,53.7,27.0,56.6", description="min_lon,min_lat,max_lon,max_lat; only flags"
    )
    ack_p1_s: int = Field(60, ge=5, le=86_400, description="seconds a P1 task may wait for its acknowledgement")
    ack_p2_s: int = Field(180, ge=5, le=86_400, description="the same for P2; each step of escalation takes as long")
    ack_p3_s: int = Field(900, ge=5, le=86_400, description="the same for P3")
    ack_p4_s: int = Field(3600, ge=5, le=86_400, description="the same for P4, counted from the window's begin")
    silent_after_s: int = Field(600, ge=30, le=86_400, description="seconds after which a unit or tracker is silent")
    interference_units: int = Field(3, ge=2, le=100, description="units that must fail together for interference")
    interference_km: int = Field(30, ge=1, le=500, description="kilometres within which they fail together")
    interference_within_s: int = Field(300, ge=30, le=900, description="seconds within which they fail together")
    interference_quiet_s: int = Field(600, ge=30, le=86_400, description="quiet seconds after which it is over")
    processes: int = Field(1, ge=1, le=64, description="server processes that share the address")
    pool_size: int = Field(10, ge=2, le=100, description="database connections of one server process")
    teltonika_port: int = Field(5027, ge=0, le=65535, description="TCP and UDP port of Teltonika trackers; 0: none")
    teltonika_tls: bool = Field(False, description="speak TLS on that TCP port, with the server's certificate")
    gt06_port: int = Field(0, ge=0, le=65535, description="TCP and UDP port of GT06 trackers, often 5023; 0: none")
    h02_port: int = Field(0, ge=0, le=65535, description="TCP and UDP port of H02 trackers, often 5013; 0: none")
    nmea_port: int = Field(0, ge=0, le=65535, description="TCP port of trackers that send NMEA sentences; 0: none")
    cot_port: int = Field(0, ge=0, le=65535, description="TCP port of ATAK, WinTAK and iTAK; 0: none")
    cot_client_ca: Path | None = Field(None, description="authority of their certificates (PEM): mutual TLS there")
    mqtt_host: str | None = Field(None, description="MQTT broker of OwnTracks phones; unset: none")
    mqtt_port: int = Field(1883, ge=1, le=65535, description="its port, with TLS usually 8883")
    mqtt_user: str | None = Field("outrider-gateway", description="the gateway's account there; empty: none")
    mqtt_password_file: Path | None = Field(None, description="file that holds the account's password")
    mqtt_client_id: str = Field("outrider-gateway", description="name of the gateway's session there; one at a time")
    mqtt_tls: bool = Field(False, description="speak TLS with the broker")
    mqtt_ca: Path | None = Field(None, description="authority of its certificate (PEM); unset: the system's")
    gateway_connections: int = Field(8192, ge=1, le=60_000, description="tracker connections the gateway holds")
    gateway_idle_s: int = Field(600, ge=10, le=86_400, description="seconds after which it cuts a silent tracker")
    fcm_credentials: Path | None = Field(None, description="Firebase service account (JSON): pushes; unset: none")
    fcm_url: str | None = Field(None, description="another address than Google's for pushes")
    fcm_web: Path | None = Field(
        None, description="Firebase app's options (JSON), handed to apps; with vapidKey to browsers"
    )
    webpush_key: Path | None = Field(
        None, description="key of `outrider webpush-init`, for pushes to browsers; unset: none"
    )
    webpush_contact: str | None = Field(None, description="whom push services write to: mailto:… or https://…")
    webpush_hosts: str = Field(
        "fcm.googleapis.com,*.push.services.mozilla.com,*.notify.windows.com,*.push.apple.com",
        description="push services that browsers may name, comma separated; *.name: all below it, name:port",
    )
    webpush_private: bool = Field(False, description="let those be at addresses of your own network as well")
    webpush_ca: Path | None = Field(None, description="authority of their certificates (PEM); unset: the system's")
    public_url: str | None = Field(None, description="address people open Outrider at, for links in e-mails and SMS")
    smtp_host: str | None = Field(None, description="mail server of the last step of alarms; unset: no e-mail")
    smtp_port: int = Field(587, ge=1, le=65535, description="its port, with TLS from the start usually 465")
    smtp_security: Literal["starttls", "tls", "none"] = Field("starttls", description="starttls, tls or none")
    smtp_ca: Path | None = Field(None, description="authority of its certificate (PEM); unset: the system's")
    smtp_user: str | None = Field(None, description="account there; unset: it is not logged in to")
    smtp_password: SecretStr | None = Field(None, description="the account's password")
    smtp_from: str | None = Field(None, description="sender of the e-mails")
    sms_url: str | None = Field(None, description="HTTP gateway for SMS, asked once for each; unset: no SMS")
    sms_method: Literal["POST", "PUT", "GET"] = Field("POST", description="POST, PUT or GET")
    sms_format: Literal["json", "form", "query"] = Field("json", description="how its fields go: json, form or query")
    sms_fields: Annotated[dict[str, Any], *_Json] = Field(
        {"to": "{to}", "text": "{text}"}, description="its fields (JSON); {to}, {text}, {id}, {secret} are filled in"
    )
    sms_headers: Annotated[dict[str, str], *_Json] = Field({}, description="its headers (JSON), filled in likewise")
    sms_secret: SecretStr | None = Field(None, description="what {secret} stands for: token or password of the gateway")
    login_tries_account: int = Field(10, ge=1, description="wrong log-ins of one account in 10 minutes")
    login_tries_address: int = Field(50, ge=1, description="wrong log-ins from one address in 10 minutes")
    four_eyes: bool = Field(False, description="roles are granted by two administrators, from when there are two")
    four_eyes_days: int = Field(30, ge=1, le=3650, description="days after which roles that nobody granted lapse")
    mfa_roles: Annotated[str, AfterValidator(_roles)] = Field(
        "", description="roles that must have a second factor, comma separated, such as administrator,supervisor"
    )
    chromium: Path | None = Field(None, description="browser for the tests; unset: `chromium` on the PATH")
    test_data: Path = Field(Path("../shared/data"), description="recordings that some tests run over")

    @classmethod
    def read(cls) -> Self:
        """The settings of this process; what cannot be used ends it with a sentence for each, without the value."""
        try:
            return cls()
        except ValidationError as error:
            wrong = [
                f"OUTRIDER_{'.'.join(map(str, each['loc'])).upper()}: {_said(each['msg'])}" for each in error.errors()
            ]
            raise SystemExit("\n".join(wrong)) from None

    @property
    def tls(self) -> bool:
        """Whether this server itself speaks TLS."""
        return self.tls_cert is not None and self.tls_key is not None

    @property
    def must_have_factor(self) -> frozenset[str]:
        """The roles that must have a second factor."""
        return frozenset(part.strip() for part in self.mfa_roles.split(",")) - {""}

    @property
    def unauthenticated(self) -> dict[str, int]:
        """The open ports of protocols that know no secret: whoever knows a tracker's number can speak for it."""
        ports = {"GT06": self.gt06_port, "H02": self.h02_port, "NMEA": self.nmea_port}
        return {name: port for name, port in ports.items() if port}


def _said(message: str) -> str:
    """Pydantic's words as a sentence."""
    words = message.removeprefix("Value error, ").strip().rstrip(".")
    return f"{words[:1].upper()}{words[1:]}."
