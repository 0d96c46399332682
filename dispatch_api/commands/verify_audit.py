"""`outrider verify-audit`: is the audit what it was when it was sealed?"""

from core import audit
from core.settings import Settings
from dispatch_api.commands.database import app_engine


async def run(settings: Settings) -> int:
    """Print what is wrong with the chain and its exported heads; 0 when nothing is."""
    heads = settings.audit_head_dir or settings.data_dir / "audit-heads"
    async with app_engine(settings) as engine:
        faults = await audit.verify(engine, heads)
        links, day = await audit.extent(engine)
    for fault in faults:
        print(f"FAULT  {fault}")
    print(f"{links} links, newest of {day}: {'NOT ' if faults else ''}intact")
    return 1 if faults else 0
