"""What settings must fulfil together: a contradiction stops the start, with a line for a person to act on."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from webapp.keyfile import MIN_SECRET_LENGTH
from webapp.settingtext import PEOPLES_ROLES, listed, roles_of_groups

if TYPE_CHECKING:
    from webapp.settings import Settings


def cross_errors(s: Settings) -> list[str]:
    """What single values cannot show: each line is (must hold, what to say when it does not)."""
    rules = [
        (
            s.lease_s > 2 * s.heartbeat_s,
            f"SIGNALBOX_LEASE_S: {s.lease_s} must be more than twice SIGNALBOX_HEARTBEAT_S ({s.heartbeat_s}), "
            "or one late heartbeat loses work",
        ),
        (
            s.sweep_s < s.lease_s,
            f"SIGNALBOX_SWEEP_S: {s.sweep_s} must be less than SIGNALBOX_LEASE_S ({s.lease_s})",
        ),
        (
            s.session_idle_h <= s.session_days * 24,
            "SIGNALBOX_SESSION_IDLE_H: longer than SIGNALBOX_SESSION_DAYS, which ends the session anyway",
        ),
        (
            not s.secret_key or len(s.secret_key) >= MIN_SECRET_LENGTH,
            f"SIGNALBOX_SECRET_KEY: too short, at least {MIN_SECRET_LENGTH} characters",
        ),
        (
            all(len(key) >= MIN_SECRET_LENGTH for key in listed(s.encryption_keys)),
            f"SIGNALBOX_ENCRYPTION_KEYS: too short, at least {MIN_SECRET_LENGTH} characters each",
        ),
        (
            not s.smtp_url or s.smtp_url.startswith(("smtp://", "smtps://", "smtp+plain://")),
            "SIGNALBOX_SMTP_URL: must be smtp://host, smtps://host or smtp+plain://host",
        ),
        (
            not s.smtp_url or "@" in s.mail_from,
            "SIGNALBOX_MAIL_FROM: needed with SIGNALBOX_SMTP_URL, such as Signalbox <signalbox@example.com>",
        ),
        (
            not s.credentials_dir or Path(s.credentials_dir).is_absolute(),
            "SIGNALBOX_CREDENTIALS_DIR: must be an absolute path",
        ),
        (
            s.database_url.startswith(("sqlite:////", "postgresql://", "postgres://")),
            "SIGNALBOX_DATABASE_URL: must be sqlite:///path/to/file or postgresql://user:password@host/name",
        ),
        (
            s.redis_url.startswith(("redis://", "rediss://", "unix:///")),
            "SIGNALBOX_REDIS_URL: must be redis://host:port/0, rediss://… or unix:///path/to/socket",
        ),
        (
            not s.public_url or s.public_url.startswith(("https://", "http://")),
            "SIGNALBOX_PUBLIC_URL: must start with https:// or http://",
        ),
        (
            all(name and path.startswith("/") for name, path in s.allowed_commands.items()),
            "SIGNALBOX_COMMANDS: write each as name=/absolute/path/of/program",
        ),
        (
            not s.is_sqlite or "?" not in s.database_url,
            "SIGNALBOX_DATABASE_URL: the path of a SQLite file must not contain '?'; choose another SIGNALBOX_VAR_DIR",
        ),
    ]
    return [message for holds, message in (*rules, *_provider_rules(s)) if not holds]


def _provider_rules(s: Settings) -> list[tuple[bool, str]]:
    has_provider = bool(s.oidc_issuer)
    roles = set(roles_of_groups(s.oidc_roles).values())
    return [
        (
            not has_provider or is_private_way(s.oidc_issuer),
            "SIGNALBOX_OIDC_ISSUER: must start with https:// (http:// on this machine only)",
        ),
        (
            not has_provider or bool(s.oidc_client_id),
            "SIGNALBOX_OIDC_CLIENT_ID: needed with SIGNALBOX_OIDC_ISSUER",
        ),
        (
            not has_provider or is_private_way(s.base_url),
            "SIGNALBOX_PUBLIC_URL: must start with https:// for an identity provider (http:// on this machine only)",
        ),
        (
            "openid" in s.oidc_scopes.split(),
            "SIGNALBOX_OIDC_SCOPES: openid must be one of them",
        ),
        (
            roles <= set(PEOPLES_ROLES),
            f"SIGNALBOX_OIDC_ROLES: write each as group=role, with one of {', '.join(PEOPLES_ROLES)}",
        ),
        (
            s.password_sign_in or has_provider,
            "SIGNALBOX_PASSWORD_SIGN_IN: without passwords there must be SIGNALBOX_OIDC_ISSUER",
        ),
    ]


def is_private_way(url: str) -> bool:
    """Whether nobody can listen on the way there: https, or http that does not leave this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return True
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
