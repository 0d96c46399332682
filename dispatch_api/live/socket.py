"""The two sockets: `/live` for people of the centre, `/inbox/live` for officers."""

from fastapi import APIRouter

router = APIRouter()
