"""The PostgreSQL installed on this machine, and how much memory it may have."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from dispatch_api.process.console import CannotStart

_DEBIAN = Path("/usr/lib/postgresql")
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL version."""

    folder: Path
    version: str

    def program(self, name: str) -> Path:
        """The path of one of its programs."""
        return self.folder / name

    @property
    def has_postgis(self) -> bool:
        """Whether the PostGIS extension is installed for it (as Debian and Ubuntu lay it out)."""
        return Path(f"/usr/share/postgresql/{self.version}/extension/postgis.control").exists()

    @classmethod
    def installed(cls) -> "list[Binaries]":
        """All there are, newest first, those with PostGIS before those without."""
        found = [
            cls(folder / "bin", folder.name)
            for folder in _DEBIAN.glob("*")
            if re.fullmatch(r"\d+", folder.name) and (folder / "bin" / "initdb").exists()
        ]
        return sorted(found, key=lambda each: (each.has_postgis, int(each.version)), reverse=True)

    @classmethod
    def find(cls, version: str | None = None) -> "Binaries":
        """The newest with PostGIS, or exactly the version that made existing data; raises CannotStart."""
        for each in cls.installed():
            if each.has_postgis and version in {None, each.version}:
                return each
        if version is None:
            raise CannotStart("PostgreSQL with PostGIS is not installed: apt-get install postgresql postgresql-postgis")
        raise CannotStart(
            f"The database was made by PostgreSQL {version}, which is not installed here: "
            f"apt-get install postgresql-{version} postgresql-{version}-postgis-3"
        )


def memory_options() -> list[str]:
    """Settings for a small write-heavy database: a quarter of the memory, at most 1 GiB, as its buffers."""
    buffers = max(64, min(1024, _memory_bytes() // _MIB // 4))
    options = [
        f"shared_buffers={buffers}MB", f"effective_cache_size={2 * buffers}MB", "work_mem=16MB",
        "maintenance_work_mem=128MB", "max_wal_size=2GB", "min_wal_size=256MB", "wal_compression=on",
        "checkpoint_timeout=15min", "checkpoint_completion_target=0.9", "random_page_cost=1.1", "jit=off",
        "timezone=UTC", "log_timezone=UTC",
    ]  # fmt: skip
    # Containers often give 64 MB of /dev/shm; a parallel query then fails where a file would do.
    small = not os.path.isdir("/dev/shm") or shutil.disk_usage("/dev/shm").total < 256 * _MIB  # noqa: S108
    return [*options, "dynamic_shared_memory_type=mmap"] if small else options


def _memory_bytes() -> int:
    """The machine's memory, or the control group's share of it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return total
