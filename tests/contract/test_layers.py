"""Imports point down only, and workers stay free of the web framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sources import ROOT


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_rooms_import_downwards_only() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("module", ["jobs.tasks", "jobs.runner", "jobs.drain", "jobs.worker", "jobs.beat"])
def test_worker_loads_no_web_framework_when_imported(module: str) -> None:
    run = _python(f"import sys, {module}; print(sorted({{'flask', 'flask_socketio', 'werkzeug'}} & set(sys.modules)))")
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_domain_loads_no_framework_when_imported() -> None:
    names = [f"webapp.domain.{path.stem}" for path in sorted((ROOT / "webapp/domain").glob("[a-z]*.py"))]
    heavy = "{'flask', 'sqlalchemy', 'redis', 'rq', 'socketio', 'aiohttp'}"
    run = _python(f"import sys, {', '.join(names)}; print(sorted({heavy} & set(sys.modules)))")
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
