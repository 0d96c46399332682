"""Where units are: latest positions, tracks, and the nearest units."""

from fastapi import APIRouter

router = APIRouter()
