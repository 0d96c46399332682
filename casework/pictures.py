"""What a file is, by its content; and the copy of a photo that screens show: small, upright, without the camera's data.

Pillow is imported when the first photo comes: a server starts without it.
"""

import struct
import threading
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Invalid, MediaType, TooLarge
from mobile_contract.attachments import SCREEN_PX

MAX_PIXELS = {"image/jpeg": 220_000_000, "image/png": 20_000_000, "image/webp": 12_500_000}
"""By kind, for about 200 MiB at most: a JPEG is decoded at a fraction of its size, the others whole, in copies."""
MAX_PROGRESSIVE_PIXELS, MAX_SCANS = 30_000_000, 100
"""A progressive JPEG is held as coefficients (6 bytes a pixel), and each of its scans goes over all of them."""
PILLOW = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
QUALITY = 82
BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heic", b"heif": "image/heic"}
VIDEO_BRANDS = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"3gp4", b"3gp5")
_ONE = threading.Lock()
"""One photo at a time: the largest takes some hundred megabytes while it is decoded."""


@dataclass(frozen=True)
class Picture:
    """A photo that was looked at: its kind, its size upright."""

    media_type: str
    width_px: int
    height_px: int


def kind_of(file: Path) -> str:
    """The media type of a file by its first bytes; raises MediaType for what is not taken."""
    with file.open("rb") as content:
        head = content.read(32)
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head[4:8] == b"ftyp" and struct.unpack(">I", head[:4])[0] >= 16:
        brand = head[8:12]
        if brand in BRANDS:
            return BRANDS[brand]
        if brand in VIDEO_BRANDS:
            return "video/mp4"
    raise MediaType("Photos (JPEG, PNG, WebP, HEIC), PDF and MP4 are taken.")


def screen_copy(file: Path, media_type: str, target: Path) -> Picture:
    """Write a photo's copy for screens to `target`.

    Raises TooLarge for more pixels than are decoded here, Invalid for a photo that is damaged, and MediaType when an
    archive hides in it.
    """
    if zipfile.is_zipfile(file):
        raise MediaType("An archive is hidden in this picture.")
    with _ONE:
        return _copied(file, media_type, target)


def _copied(file: Path, media_type: str, target: Path) -> Picture:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limits are ours, by kind
    try:
        with warnings.catch_warnings(), Image.open(file, formats=[PILLOW[media_type]]) as opened:
            warnings.simplefilter("ignore")
            width, height = opened.size
            if width * height > _limit(opened, file, media_type):
                raise TooLarge(f"A picture of {width} x {height} pixels is too large.")
            turned = opened.getexif().get(0x0112) in {5, 6, 7, 8}
            _write(opened, target)
    except (OSError, ValueError, SyntaxError, struct.error, EOFError, MemoryError) as error:
        raise Invalid.at("content", "picture", "The picture is damaged.") from error
    return Picture(media_type, *((height, width) if turned else (width, height)))


def _limit(opened: Any, file: Path, media_type: str) -> int:
    if not opened.info.get("progressive"):
        return MAX_PIXELS[media_type]
    return 0 if file.read_bytes().count(b"\xff\xda") > MAX_SCANS else MAX_PROGRESSIVE_PIXELS


def _write(opened: Any, target: Path) -> None:
    from PIL import Image, ImageOps

    opened.draft("RGB", (SCREEN_PX, SCREEN_PX))
    opened.load()
    # Shrunk before it is turned and converted: of a large one these are copies, too.
    opened.thumbnail((SCREEN_PX, SCREEN_PX), Image.Resampling.LANCZOS)
    upright = ImageOps.exif_transpose(opened)
    if upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info:
        with_alpha = upright.convert("RGBA")
        upright = Image.new("RGB", with_alpha.size, "white")
        upright.paste(with_alpha, mask=with_alpha.getchannel("A"))
    plain = Image.new("RGB", upright.size)  # no chunk, profile or comment of the original comes along
    plain.paste(upright.convert("RGB"))
    with target.open("wb") as out:
        plain.save(out, "JPEG", quality=QUALITY, optimize=True)
