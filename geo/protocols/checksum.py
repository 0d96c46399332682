"""Checksums of binary protocols, without a step of Python for each byte."""

from binascii import crc_hqx
from functools import cache

import numpy as np
from numpy.typing import NDArray

LONGEST = 9_728
"""Bytes that can be summed."""
_IBM = 0xA001
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@cache
def _shares() -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """What a byte contributes when so many follow it, 256 numbers for each place, last place first; and their index.

    The sum is linear: it is the exclusive-or of what each byte at its place would give among zeros.
    """
    last = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        last = np.where(last & 1, last >> 1 ^ _IBM, last >> 1).astype(np.uint16)
    shares = np.empty((LONGEST, 256), dtype=np.uint16)
    shares[0] = last
    for place in range(1, LONGEST):
        before = shares[place - 1]
        shares[place] = before >> 8 ^ last[before & 0xFF]
    return shares.reshape(-1), np.arange(LONGEST - 1, -1, -1, dtype=np.int32) * 256


def crc16_ibm(data: bytes) -> int:
    """CRC-16/ARC (polynomial 0x8005 reflected, from 0) of at most LONGEST bytes."""
    shares, places = _shares()
    return int(np.bitwise_xor.reduce(shares.take(places[LONGEST - len(data) :] + np.frombuffer(data, np.uint8))))


def crc16_x25(data: bytes) -> int:
    """CRC-16/X.25, which tracker makers call CRC-ITU (polynomial 0x1021 reflected, from 0xFFFF, inverted)."""
    low, high = crc_hqx(data.translate(_MIRRORED), 0xFFFF).to_bytes(2).translate(_MIRRORED)
    return (high << 8 | low) ^ 0xFFFF
