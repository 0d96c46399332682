"""Which addresses browsers may name for pushes, and which they may not (S21)."""

import pytest

from core.settings import Settings
from dispatch_api.webpush.endpoints import Allowed, is_outside

GOOD = [
    "https://fcm.googleapis.com/fcm/send/abc:def", "https://updates.push.services.mozilla.com/wpush/v2/x",
    "https://web.push.apple.com/QOk3", "https://wns2-par02p.notify.windows.com/w/?token=a%2Bb",
    "https://FCM.googleapis.com:443/x",
]  # fmt: skip
BAD = [
    "http://fcm.googleapis.com/x", "ftp://fcm.googleapis.com/x", "file:///etc/passwd", "fcm.googleapis.com/x", "",
    "https://fcm.googleapis.com:8443/x", "https://fcm.googleapis.com:80/x", "https://fcm.googleapis.com:99999/x",
    "https://fcm.googleapis.com.evil.example/x", "https://evilfcm.googleapis.com/x", "https://push.apple.com/x",
    "https://notify.windows.com.evil.example/", "https://fcm.googleapis.com@evil.example/x",
    "https://evil.example\\@fcm.googleapis.com/x", "https://evil.example#@fcm.googleapis.com/x",
    "https://user:word@fcm.googleapis.com/x", "https://fcm.googleapis.com./x", "https://fcm.googleapis.com/x\r\nX: y",
    "https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest/meta-data", "https://localhost/x",
    "https://2130706433/x", "https://0x7f.1/x", "https://fcm。googleapis。com/x", "https://fcm.googleapis.com/ė",
    "https://fcm.googleapis.com/" + "x" * 2000, "https:///x", "https://[fcm.googleapis.com/x", "//fcm.googleapis.com/x",
    "https://a..notify.windows.com/x", f"https://{'a' * 64}.notify.windows.com/x", "https://.notify.windows.com/x",
    "https://-a.notify.windows.com/x", "https://*.notify.windows.com/x",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_s21_known_push_services_are_called(url: str) -> None:
    found = Allowed.by(Settings()).endpoint(url)
    assert found
    assert (found.port, found.url.scheme) == (443, b"https")
    assert url.lower().replace(":443", "").startswith(found.origin)


@pytest.mark.parametrize("url", BAD)
def test_s21_no_other_address_is_taken(url: str) -> None:
    assert Allowed.by(Settings()).endpoint(url) is None


def test_s21_a_service_of_ones_own_is_called_at_its_own_port_alone() -> None:
    allowed = Allowed.by(Settings(webpush_hosts="push.customs.example:8443, 10.0.0.5"))
    found = allowed.endpoint("https://push.customs.example:8443/up?x=1")
    assert found
    assert (found.origin, found.url.target) == ("https://push.customs.example:8443", b"/up?x=1")
    assert allowed.endpoint("https://push.customs.example/up") is None
    assert allowed.endpoint("https://10.0.0.5/up") is not None
    assert allowed.endpoint("https://fcm.googleapis.com/x") is None


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:53aa:64c::1"],
)  # fmt: skip
def test_s21_an_address_of_a_network_of_our_own_is_none_of_the_internet(address: str) -> None:
    assert not is_outside(address)


def test_s21_an_address_of_the_internet_is_one() -> None:
    assert all(map(is_outside, ["8.8.8.8", "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]))
