"""Every knob of the hub in one frozen dataclass, read from ``SIGNALBOX_*`` variables by ``Settings.from_env``.

Strict on purpose: an unknown variable, a bad value or a contradiction is an error, and all errors are
told at once. No other file may read the environment, and a secret must never be printed from here.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from webapp import keyfile
from webapp.settingrules import cross_errors
from webapp.settingtext import PARSERS, PEOPLES_ROLES, listed, masked

PREFIX = "SIGNALBOX_"
ROOT = Path(__file__).resolve().parent.parent  # the checkout: relative paths are taken from here
DEFAULT_VAR_DIR = Path("var")
SOCKET_PATH_LIMIT = 100  # bytes; AF_UNIX refuses 108 and redis adds nothing, but leave room for a suffix


class SettingsError(Exception):
    """The environment cannot be used. ``errors`` has one line each, for a person to act on."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def _setting(default: Any, help_text: str, **facts: Any) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text, **facts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Resolved settings. Build it by hand in tests: what is left out gets its default, URLs are filled in from ``var_dir``."""

    var_dir: Path = _setting(DEFAULT_VAR_DIR, "Where the hub keeps its data.")  # noqa: RUF009  a Path never changes
    database_url: str = _setting("", "SQLite or PostgreSQL; empty means SQLite under var_dir.", secret=True)
    redis_url: str = _setting("", "Redis server; empty means one of our own, on a private socket.", secret=True)
    secret_key: str = _setting("", "Signs session cookies; empty means made once, under var_dir.", secret=True)
    encryption_keys: str = _setting("", "Encrypt secrets, newest first; empty means the secret key.", secret=True)

    host: str = _setting("127.0.0.1", "Address the web server listens on.")
    port: int = _setting(8000, "Port the web server listens on.", least=1, most=65535)
    public_url: str = _setting("", "Address people use, when it differs from host and port.")
    allowed_hosts: str = _setting("", "Further names under which the hub answers, comma separated; * is any.")
    trusted_proxies: int = _setting(0, "Reverse proxies in front of the hub.", unit="hops", most=10)
    session_idle_h: int = _setting(8, "A session ends after this long without a request.", unit="hours", least=1)
    session_days: int = _setting(7, "A session ends after this long in any case.", unit="days", least=1)

    second_factor: str = _setting(
        "off", "Who must have a second factor to work here.", choices=("off", "admins", "everybody")
    )
    password_sign_in: bool = _setting(True, "Let people sign in with a password.")
    oidc_issuer: str = _setting("", "Identity provider (OpenID Connect); empty means none.")
    oidc_client_id: str = _setting("", "What the identity provider calls this hub.")
    oidc_client_secret: str = _setting("", "What the hub shows the identity provider.", secret=True)
    oidc_scopes: str = _setting("openid profile email", "Scopes asked of the identity provider.")
    oidc_name: str = _setting("single sign-on", "Name of the identity provider, on the button.")
    oidc_groups_claim: str = _setting("groups", "Claim of the ID token that lists somebody's groups.")
    oidc_roles: str = _setting("", "Roles of groups: group=role, comma separated.")
    oidc_default_role: str = _setting(
        "viewer", "Role of who is in none of these groups.", choices=("none", *PEOPLES_ROLES)
    )
    oidc_allowed_domains: str = _setting("", "Only people with an e-mail address there, comma separated.")
    oidc_allowed_groups: str = _setting("", "Only people in one of these groups, comma separated.")
    oidc_create_users: bool = _setting(False, "Create who signs in by the identity provider for the first time.")

    web_workers: int = _setting(1, "Web processes.", least=1, most=64)
    web_threads: int = _setting(64, "Threads of one web process; a browser tab holds one.", least=2, most=1024)
    workers: int = _setting(1, "Worker processes for ordinary handlers.", most=64)
    isolated_workers: int = _setting(1, "Worker processes for isolated handlers.", most=64)
    consumers: int = _setting(0, "Processes that consume sources from brokers.", most=64)
    concurrency: int = _setting(100, "Deliveries that one worker runs at a time.", least=1, most=10_000)
    claim_batch: int = _setting(500, "Deliveries that one claim takes at most.", least=1, most=10_000)

    max_body_bytes: int = _setting(1_048_576, "Largest request body accepted.", unit="bytes", least=1024)
    max_batch_bytes: int = _setting(8_388_608, "Largest body of a batch of events.", unit="bytes", least=1024)
    max_json_depth: int = _setting(32, "Deepest nesting of JSON accepted.", unit="levels", least=2, most=200)

    rate_limit: int = _setting(
        0, "Requests that an API key without a limit of its own may make; 0 means as many as it likes.", unit="a minute"
    )

    max_causation_depth: int = _setting(
        10,
        "Events that may cause one another, one after the other, before it is taken for a loop.",
        unit="events",
        least=1,
        most=1000,
    )

    lease_s: float = _setting(10.0, "A worker that is silent for this long loses its work.", unit="seconds", least=1)
    heartbeat_s: float = _setting(3.0, "How often a worker renews its leases.", unit="seconds", least=0.1)
    sweep_s: float = _setting(1.0, "How often the beat looks for due and lost work.", unit="seconds", least=0.1)
    slice_s: float = _setting(30.0, "Longest run of one drain job.", unit="seconds", least=1)
    default_timeout_s: float = _setting(
        30.0, "Time limit of a handler when its subscription names none.", unit="seconds", least=0.1
    )
    shutdown_grace_s: float = _setting(
        6.0, "Time for running handlers to end when the hub stops.", unit="seconds", most=300
    )

    handlers: str = _setting("", "Plug-in packages or modules with handlers, comma separated.")
    reload: bool = _setting(False, "Restart the workers when the code of a plug-in is saved: for development.")
    commands: str = _setting("", "Programs that the command handler may run: name=/path, comma separated.")
    allow_private_addresses: bool = _setting(False, "Let handlers call private network addresses.")
    outbound_timeout_s: float = _setting(15.0, "Time limit of one outgoing HTTP call.", unit="seconds", least=0.1)
    outbound_max_bytes: int = _setting(1_048_576, "Largest answer read from an outgoing call.", unit="bytes", least=1)

    smtp_url: str = _setting("", "Mail server for notifications; empty means that none are sent by mail.", secret=True)
    mail_from: str = _setting("", "Sender of notifications by mail.")

    credentials_dir: str = _setting("", "Folder with certificates and keys that subscriptions may name.")

    log_level: str = _setting("info", "Least severe log line shown.", choices=("debug", "info", "warning", "error"))
    log_format: str = _setting("auto", "Form of log lines.", choices=("auto", "console", "json"))

    def __post_init__(self) -> None:
        self._fill("var_dir", ROOT / self.var_dir)
        self._fill("database_url", _absolute_sqlite(self.database_url) or f"sqlite:///{self.var_dir}/signalbox.db")
        self._fill("redis_url", self.redis_url or embedded_redis_url(self.var_dir))
        self._fill("public_url", self.public_url.rstrip("/"))
        errors = [*_range_errors(self), *cross_errors(self)]
        if errors:
            raise SettingsError(errors)

    def _fill(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read ``SIGNALBOX_*`` (of the process when none is given); raises ``SettingsError`` with every error in it."""
        environ = os.environ if environ is None else environ
        errors = _unknown_names(environ)
        values: dict[str, Any] = {}
        for setting in dataclasses.fields(cls):
            try:
                text = _text_of(setting, environ)
                if text:
                    values[setting.name] = PARSERS[str(setting.type)](text)
            except ValueError as error:
                errors.append(f"{variable(setting.name)}: {error}")
        try:
            settings = cls(**values)
        except SettingsError as error:
            raise SettingsError(errors + error.errors) from None
        if errors:
            raise SettingsError(errors)
        return settings.resolved()

    def resolved(self) -> Self:
        """The same with a secret key, read from ``var_dir/secret_key`` or made there for good."""
        if self.secret_key:
            return self
        path = self.var_dir / "secret_key"
        try:
            return dataclasses.replace(self, secret_key=keyfile.read_or_create(path))
        except ValueError as error:
            raise SettingsError([str(error)]) from None
        except OSError as error:
            raise SettingsError(
                [
                    f"cannot keep the secret key in {path} ({error.strerror}): "
                    f"make {self.var_dir} writable or point SIGNALBOX_VAR_DIR to a directory that is"
                ]
            ) from None

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def embedded_redis(self) -> bool:
        """Whether the supervisor runs Redis for us."""
        return self.redis_url == embedded_redis_url(self.var_dir)

    @property
    def redis_socket(self) -> Path:
        """Socket of the embedded Redis."""
        return embedded_redis_socket(self.var_dir)

    @property
    def base_url(self) -> str:
        """Where people find the hub, without a slash at the end."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def secure_cookies(self) -> bool:
        """Cookies are kept to HTTPS when people reach the hub over HTTPS."""
        return self.public_url.startswith("https://")

    @property
    def sealing_secrets(self) -> tuple[str, ...]:
        """What keys of encryption are derived from: the first encrypts, all of them decrypt."""
        return tuple(key for key in (*listed(self.encryption_keys), self.secret_key) if key)

    @property
    def allowed_commands(self) -> dict[str, str]:
        """Programs in ``commands``, by name."""
        pairs = (pair.partition("=") for pair in self.commands.split(",") if pair.strip())
        return {name.strip(): path.strip() for name, _, path in pairs}

    @property
    def handler_modules(self) -> tuple[str, ...]:
        """Names in ``handlers``."""
        return listed(self.handlers)

    def to_env(self) -> dict[str, str]:
        """Every setting as the variable that gives it: what children are started with, so that they agree."""
        return {variable(f.name): str(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def describe(self) -> dict[str, str]:
        """Variable to value, for people: secrets are masked."""
        return {
            variable(f.name): masked(str(getattr(self, f.name)))
            if "secret" in f.metadata
            else str(getattr(self, f.name))
            for f in dataclasses.fields(self)
        }


def load_settings() -> Settings:
    """The settings of this process; when they are wrong, the process ends with a line for each error."""
    try:
        return Settings.from_env()
    except SettingsError as error:
        raise SystemExit("\n".join(f"signalbox: {line}" for line in error.errors)) from None


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def embedded_redis_socket(var_dir: Path) -> Path:
    """``var_dir/redis.sock``, or a short private path derived from it when that is too long for AF_UNIX."""
    path = var_dir / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"signalbox-{os.getuid()}-{digest}" / "redis.sock"


def embedded_redis_url(var_dir: Path) -> str:
    """The URL of our own Redis."""
    return f"unix://{quote(str(embedded_redis_socket(var_dir)))}"


def _text_of(setting: dataclasses.Field[Any], environ: Mapping[str, str]) -> str:
    """The value of the variable, or for a secret the content of the file that ``<NAME>_FILE`` names."""
    name = variable(setting.name)
    text = environ.get(name, "").strip()
    file = environ.get(f"{name}_FILE", "").strip() if "secret" in setting.metadata else ""
    if not file:
        return text
    if text:
        raise ValueError(f"{name}_FILE is set as well; keep one of them")
    try:
        content = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the file {file}: {getattr(error, 'strerror', 'not UTF-8')}") from None
    if not content:
        raise ValueError(f"the file {file} is empty")
    return content


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = [variable(f.name) for f in dataclasses.fields(Settings)]
    files = [f"{variable(f.name)}_FILE" for f in dataclasses.fields(Settings) if "secret" in f.metadata]
    errors = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and name not in files:
            close = difflib.get_close_matches(name, known + files, n=1, cutoff=0.75)
            errors.append(f"{name}: no such setting" + (f"; did you mean {close[0]}?" if close else ""))
    return errors


def _range_errors(settings: Settings) -> list[str]:
    errors = []
    for setting in dataclasses.fields(settings):
        value, facts = getattr(settings, setting.name), setting.metadata
        unit = f" {facts['unit']}" if "unit" in facts else ""
        name = variable(setting.name)
        if "choices" in facts and value not in facts["choices"]:
            errors.append(f"{name}: {value!r} is none of {', '.join(facts['choices'])}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if value < (least := facts.get("least", 0)):
                errors.append(f"{name}: {value}{unit} is too little, at least {least}")
            if value > (most := facts.get("most", math.inf)):
                errors.append(f"{name}: {value}{unit} is too much, at most {most}")
    return errors


def _absolute_sqlite(url: str) -> str:
    """Processes may start in different directories: a relative SQLite path is taken from the checkout."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(("/", ":memory:")):
        return url
    return f"sqlite:///{ROOT / path}"
