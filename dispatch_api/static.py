"""The built files of the pages: sent squeezed to whom can read that; those with a hash in their name are kept."""

import os
import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

HASHED = re.compile(r"-[A-Z0-9]{8}\.\w+$")
FOR_EVER = "public, max-age=31536000, immutable"


class Built(StaticFiles):
    """Files that never change under a hashed name; beside a file there may be `<file>.gz`, made at the build."""

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, or its squeezed copy."""
        asked, squeezed = Headers(scope=scope), f"{os.fspath(full_path)}.gz"
        if "gzip" in asked.get("accept-encoding", "") and "range" not in asked and os.path.exists(squeezed):
            response = super().file_response(squeezed, os.stat(squeezed), scope, status_code)
            response.headers["Content-Encoding"] = "gzip"
        else:
            response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["Cache-Control"] = FOR_EVER if HASHED.search(str(full_path)) else "no-cache"
        return response
