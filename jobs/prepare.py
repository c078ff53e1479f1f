"""The first step of every start, a process of its own so that the supervisor stays small: schema, catalogue, first link.

Its standard output is one JSON object for the supervisor; what it logs goes to standard error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from jobs.catalog import sync
from webapp.domain.errors import HubError
from webapp.logs import configure_logging
from webapp.runtime import build_runtime
from webapp.services.accounts import first_admin_link
from webapp.settings import Settings, load_settings
from webapp.store.migrate import upgrade


def prepare(settings: Settings) -> dict[str, Any]:
    """Bring the database up to date; answers what the supervisor tells people."""
    migrated = upgrade(settings.database_url)
    rt = build_runtime(settings)
    try:
        sync(rt)
        return {"migrated": migrated, "link": first_admin_link(rt)}
    finally:
        rt.close()


def main() -> int:
    settings = load_settings()
    configure_logging(settings, "prepare")
    try:
        told = prepare(settings)
    except (SQLAlchemyError, HubError) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        told = {
            "error": f"cannot use the database: check that it runs and that SIGNALBOX_DATABASE_URL is right ({cause})"
        }
    sys.stdout.write(json.dumps(told))
    return int("error" in told)


if __name__ == "__main__":
    sys.exit(main())
