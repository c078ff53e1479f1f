"""Settings: strict reading, all errors at once, resolved values, secrets kept secret."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from webapp.settings import ROOT, Settings, SettingsError
from webapp.settingtext import roles_of_groups

SECRET = "a-secret-of-good-length"


def _errors(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({f"SIGNALBOX_{name}": value for name, value in variables.items()})
    return caught.value.errors


def test_settings_point_into_var_dir_when_nothing_is_set(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/signalbox.db"
    assert settings.redis_url == f"unix://{tmp_path}/redis.sock"
    assert settings.is_sqlite
    assert settings.embedded_redis


def test_settings_take_relative_paths_from_the_checkout() -> None:
    assert Settings().var_dir == ROOT / "var"
    assert Settings(database_url="sqlite:///data/hub.db").database_url == f"sqlite:///{ROOT}/data/hub.db"


def test_settings_use_real_servers_when_their_urls_are_set(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {
            "SIGNALBOX_VAR_DIR": str(tmp_path),
            "SIGNALBOX_DATABASE_URL": "postgresql://hub:pw@db/hub",
            "SIGNALBOX_REDIS_URL": "redis://cache:6379/0",
        }
    )
    assert not settings.is_sqlite
    assert not settings.embedded_redis


def test_settings_choose_a_short_socket_path_when_var_dir_is_too_long_for_one(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path / ("x" * 120))
    assert len(str(settings.redis_socket)) <= 100
    assert settings.redis_socket == Settings(var_dir=tmp_path / ("x" * 120)).redis_socket
    assert settings.embedded_redis


def test_settings_survive_the_way_through_the_environment(tmp_path: Path) -> None:
    settings = Settings(
        var_dir=tmp_path, secret_key=SECRET, allow_private_addresses=True, lease_s=12.5, handlers="a, b"
    )
    assert Settings.from_env(settings.to_env()) == settings
    assert settings.handler_modules == ("a", "b")


def test_settings_tell_every_error_at_once_when_several_are_wrong() -> None:
    errors = _errors(PORT="http", LOG_LEVEL="loud", LEASE_S="nan", WEB_WORKERS="0", ALLOW_PRIVATE_ADDRESSES="perhaps")
    assert [line.partition(":")[0] for line in sorted(errors)] == [
        "SIGNALBOX_ALLOW_PRIVATE_ADDRESSES",
        "SIGNALBOX_LEASE_S",
        "SIGNALBOX_LOG_LEVEL",
        "SIGNALBOX_PORT",
        "SIGNALBOX_WEB_WORKERS",
    ]
    assert all("\n" not in line for line in errors)


def test_settings_suggest_the_name_when_a_variable_is_misspelt() -> None:
    assert _errors(PROT="8000") == ["SIGNALBOX_PROT: no such setting; did you mean SIGNALBOX_PORT?"]


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"LEASE_S": "6"}, "SIGNALBOX_HEARTBEAT_S"),
        ({"SWEEP_S": "20"}, "SIGNALBOX_LEASE_S"),
        ({"SESSION_IDLE_H": "200"}, "SIGNALBOX_SESSION_DAYS"),
        ({"SECRET_KEY": "short"}, "too short"),
        ({"DATABASE_URL": "mysql://db/hub"}, "postgresql://"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "sqlite:///path"),
        ({"REDIS_URL": "localhost:6379"}, "redis://"),
        ({"PUBLIC_URL": "events.example.com"}, "https://"),
    ],
)
def test_settings_refuse_what_cannot_work(variables: dict[str, str], word: str) -> None:
    (error,) = _errors(**variables)
    assert word in error


def test_settings_treat_an_empty_variable_as_not_set(tmp_path: Path) -> None:
    assert Settings.from_env({"SIGNALBOX_VAR_DIR": str(tmp_path), "SIGNALBOX_PORT": " "}).port == 8000


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "REDIS_URL"])
def test_settings_read_a_secret_from_the_file_that_is_named(name: str, tmp_path: Path) -> None:
    value = {"SECRET_KEY": SECRET, "DATABASE_URL": "postgresql://u:p@db/hub", "REDIS_URL": "redis://:p@r/0"}[name]
    (tmp_path / "secret").write_text(f"{value}\n")
    settings = Settings.from_env(
        {"SIGNALBOX_VAR_DIR": str(tmp_path), f"SIGNALBOX_{name}_FILE": str(tmp_path / "secret")}
    )
    assert getattr(settings, name.lower()) == value


def test_settings_refuse_a_secret_file_that_is_missing_or_named_beside_the_value(tmp_path: Path) -> None:
    (missing,) = _errors(SECRET_KEY_FILE=str(tmp_path / "missing"), VAR_DIR=str(tmp_path))
    assert "cannot read" in missing
    (both,) = _errors(SECRET_KEY=SECRET, SECRET_KEY_FILE="/x", VAR_DIR=str(tmp_path))
    assert "keep one" in both
    assert _errors(PORT_FILE="/x") != []


def test_secret_key_is_made_once_and_private_when_none_is_set(tmp_path: Path) -> None:
    environ = {"SIGNALBOX_VAR_DIR": str(tmp_path / "var")}
    first, second = Settings.from_env(environ), Settings.from_env(environ)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) > 40
    assert stat.S_IMODE((tmp_path / "var/secret_key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]


def test_secret_key_is_the_same_for_all_when_several_make_it_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: Settings(var_dir=tmp_path).resolved().secret_key, range(32)))
    assert len(set(keys)) == 1


def test_secret_key_is_refused_when_others_can_read_it(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text(SECRET)
    (tmp_path / "secret_key").chmod(0o644)
    (error,) = _errors(VAR_DIR=str(tmp_path))
    assert "chmod 600" in error


def test_secret_key_says_what_to_do_when_var_dir_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (error,) = _errors(VAR_DIR=str(tmp_path / "file" / "var"))
    assert "SIGNALBOX_VAR_DIR" in error


def test_description_masks_secrets() -> None:
    settings = Settings(secret_key=SECRET, database_url="postgresql://hub:pw-of-db@db/hub", redis_url="redis://:pw@r/0")
    shown = settings.describe()
    assert shown["SIGNALBOX_DATABASE_URL"] == "postgresql://hub:********@db/hub"
    assert "pw" not in shown["SIGNALBOX_REDIS_URL"]
    assert SECRET not in str(shown)
    in_query = Settings(database_url="postgresql:///hub?password=pw-of-db&host=db").describe()
    assert "pw" not in in_query["SIGNALBOX_DATABASE_URL"]


@pytest.mark.parametrize(
    ("fields", "url", "secure"),
    [
        ({}, "http://127.0.0.1:8000", False),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80", False),
        ({"host": "::1"}, "http://[::1]:8000", False),
        ({"public_url": "https://events.example.com/"}, "https://events.example.com", True),
    ],
)
def test_base_url_is_where_people_find_the_hub(fields: dict[str, object], url: str, secure: bool) -> None:
    settings = Settings(**fields)  # type: ignore[arg-type]
    assert (settings.base_url, settings.secure_cookies) == (url, secure)


PROVIDER = {
    "OIDC_ISSUER": "https://login.example.com",
    "OIDC_CLIENT_ID": "hub",
    "PUBLIC_URL": "https://hub.example.com",
}


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"OIDC_ISSUER": "http://login.example.com"}, "SIGNALBOX_OIDC_ISSUER"),
        ({"OIDC_CLIENT_ID": ""}, "SIGNALBOX_OIDC_CLIENT_ID"),
        ({"PUBLIC_URL": "http://hub.example.com"}, "SIGNALBOX_PUBLIC_URL"),
        ({"OIDC_SCOPES": "profile"}, "openid"),
        ({"OIDC_ROLES": "platform=root"}, "group=role"),
        ({"OIDC_ROLES": "platform"}, "group=role"),
        ({"OIDC_ISSUER": "", "PASSWORD_SIGN_IN": "no"}, "SIGNALBOX_PASSWORD_SIGN_IN"),
    ],
)
def test_settings_refuse_an_identity_provider_that_cannot_work(variables: dict[str, str], word: str) -> None:
    (error,) = _errors(**PROVIDER | variables)
    assert word in error


def test_settings_take_a_provider_on_this_machine_without_tls() -> None:
    assert Settings(oidc_issuer="http://127.0.0.1:9000", oidc_client_id="hub").base_url == "http://127.0.0.1:8000"


def test_names_of_groups_may_hold_commas_and_equal_signs() -> None:
    assert roles_of_groups("cn=ops,dc=example=operator; platform = admin") == {
        "cn=ops,dc=example": "operator",
        "platform": "admin",
    }
