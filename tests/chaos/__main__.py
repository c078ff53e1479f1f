"""``python -m tests.chaos``: a hub under random faults. Ends with 1 when a promise was broken."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

for _name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
    del os.environ[_name]

from tests.chaos.faults import FAULTS  # noqa: E402
from tests.chaos.run import Plan, run  # noqa: E402
from tests.chaos.table import lines  # noqa: E402

DATABASES = ("sqlite", "postgresql")


def main(arguments: list[str] | None = None) -> int:
    """Run on one database, or on both."""
    options = _options(arguments)
    broken = 0
    for database in DATABASES if options.database == "both" else (options.database,):
        print(f"\n{database}: starting a hub; seed {options.seed}", flush=True)
        lossy = {"synchronous_commit": "off"} if options.lossy else {}
        plan = Plan(
            database, options.seconds, options.faults, options.seed, options.rate, postgres=lossy, log=options.log
        )
        report = run(plan, lambda text: print(f"  {text}", flush=True))
        print("\n" + "\n".join(lines(report)), flush=True)
        broken += len(report.violations)
    return 1 if broken else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    names = "; ".join(fault.name for fault in FAULTS)
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", epilog=f"faults: {names}", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long faults happen, on each database")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument(
        "--faults", default="", help="only faults whose name has one of these words in it: worker,redis"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="the same seed: the same order")
    parser.add_argument("--rate", type=float, default=20, help="events a second")
    parser.add_argument(
        "--lossy", action="store_true", help="a PostgreSQL that is told not to wait for its log: the hub has to insist"
    )
    parser.add_argument("--log", type=Path, help="keep what the hub printed, in this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
