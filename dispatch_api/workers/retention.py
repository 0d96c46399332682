"""What is kept no longer: records by their class, ended sessions, used-up tickets, secrets in answers, left files.

And proposals of roles that nobody decided on.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from casework import attachments
from core import role_grants
from core.actor import system
from core.file_store import FileStore
from core.models import Job, LoginTry, SignIn, SocketTicket
from core.retention import scrub_secrets
from core.settings import Settings
from core.work import Work, open_work
from dispatch_api import retention

LOGIN_TRIES_KEPT = timedelta(days=1)
LEFT_FILES_KEPT_S = 86_400


async def round_(engine: AsyncEngine, settings: Settings, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Remove what is past its time; each kind in transactions of its own."""
    async with open_work(engine, system("retention")) as work:
        await end_access(work)
        await scrub_secrets(work)
    async with open_work(engine, system("four-eyes")) as work:
        await role_grants.lapse_old(work, work.now - timedelta(days=settings.four_eyes_days))
    await _sweep(engine, settings.data_dir / "imports")
    await retention.run(engine, settings, stopping)
    store = FileStore(settings.data_dir)
    async with open_work(engine, system("retention")) as work:
        await attachments.sweep(work, store)
    await asyncio.to_thread(store.sweep_uploads)
    return False


async def end_access(work: Work) -> dict[str, int]:
    """Delete ended sessions, expired tickets and old log-in tries; how many of each."""
    ended: dict[str, Any] = {
        "socket_ticket": delete(SocketTicket).where(col(SocketTicket.expires_at) < work.now),
        "sign_in": delete(SignIn).where(col(SignIn.expires_at) < work.now),
        "login_try": delete(LoginTry).where(col(LoginTry.at) < work.now - LOGIN_TRIES_KEPT),
    }
    counts = {}
    for kind, statement in ended.items():
        done: Any = await work.session.execute(statement)
        counts[kind] = done.rowcount
    return counts


async def _sweep(engine: AsyncEngine, folder: Path) -> None:
    async with open_work(engine, system("retention")) as work:
        waiting = await work.all(select(Job).where(col(Job.status).in_(["queued", "running"])))
    await asyncio.to_thread(sweep_files, folder, {str(job.params.get("file")) for job in waiting})


def sweep_files(folder: Path, wanted: set[str]) -> int:
    """Remove files of uploads that broke off or failed, a day old and wanted by no job; how many."""
    swept, before = 0, time.time() - LEFT_FILES_KEPT_S
    for file in folder.glob("*") if folder.is_dir() else []:
        if file.name not in wanted and file.stat().st_mtime < before:
            file.unlink(missing_ok=True)
            swept += 1
    return swept
