"""The secret key that the hub makes for itself: a file under ``var_dir``, made once, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

MIN_SECRET_LENGTH = 16


def read_or_create(path: Path) -> str:
    """The key in the file, made there first if need be. ``ValueError`` says what a person has to do."""
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path} can be read by other users: run `chmod 600 {path}`")
    content = path.read_text(encoding="ascii", errors="replace").strip()
    if len(content) < MIN_SECRET_LENGTH:
        raise ValueError(
            f"{path} holds no usable key: bring back the one that it held (docs/secrets.md says what it opens)"
        )
    return content


def _create(path: Path) -> None:
    """Written whole beside its place, then linked: of two processes that do this at once, one wins and both agree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".secret_key.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
