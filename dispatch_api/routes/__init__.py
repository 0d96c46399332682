"""HTTP routes: types and a call to a service function, 5 to 15 lines each.

Every module here has a `router`; it is served below /api/v1 unless the module says `AT_ROOT = True`.
"""

import importlib
import pkgutil

from fastapi import APIRouter


def _found() -> list[tuple[bool, APIRouter]]:
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return [(not getattr(module, "AT_ROOT", False), module.router) for module in modules]


ROUTERS = _found()
"""(below the API's base?, router) of every module."""
