"""The audit's chain, sealed within a second, and its head, exported each minute."""

from sqlalchemy.ext.asyncio import AsyncEngine

from core import audit
from core.settings import Settings


async def seal_round(engine: AsyncEngine) -> bool:
    """Chain what is committed; true when a full batch was."""
    return await audit.seal(engine) >= audit.SEAL_BATCH


async def head_round(engine: AsyncEngine, settings: Settings) -> bool:
    """Export the newest link."""
    await audit.export_head(engine, settings.audit_head_dir or settings.data_dir / "audit-heads")
    return False
