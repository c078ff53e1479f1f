"""Sealing: it opens with the keys that may open it, unchanged and in its place, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from webapp.services.vault import SealBroken, is_current, seal, unseal
from webapp.settings import Settings, SettingsError

KEY = "a-secret-key-of-good-length"
OLD, NEW = "an-old-encryption-key", "a-new-encryption-key"


def _settings(keys: str = "", secret_key: str = KEY) -> Settings:
    return Settings(secret_key=secret_key, encryption_keys=keys)


def test_what_is_sealed_opens_again_and_does_not_show() -> None:
    sealed = seal(_settings(), "pa55wörd")
    assert unseal(_settings(), sealed) == "pa55wörd"
    assert b"pa55" not in sealed
    assert seal(_settings(), "pa55wörd") != sealed


def test_old_keys_still_open_after_a_rotation() -> None:
    by_secret_key, by_old = seal(_settings(), "one"), seal(_settings(OLD), "two")
    rotated = _settings(f"{NEW}, {OLD}")
    assert (unseal(rotated, by_secret_key), unseal(rotated, by_old)) == ("one", "two")
    assert not is_current(rotated, by_old)
    assert is_current(rotated, seal(rotated, "three"))
    with pytest.raises(SealBroken, match="None of the keys"):
        unseal(_settings(OLD), seal(rotated, "three"))


def test_nothing_opens_without_its_key() -> None:
    with pytest.raises(SealBroken, match="None of the keys"):
        unseal(_settings(secret_key="another-key-of-good-length"), seal(_settings(), "x"))
    with pytest.raises(SealBroken, match="SIGNALBOX_SECRET_KEY"):
        seal(Settings(), "x")


@pytest.mark.parametrize("cut", [0, 3, 10, 20])
def test_what_was_cut_or_changed_does_not_open(cut: int) -> None:
    sealed = seal(_settings(), "x")
    with pytest.raises(SealBroken):
        unseal(_settings(), sealed[:cut])
    with pytest.raises(SealBroken):
        unseal(_settings(), sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_what_is_bound_to_a_row_does_not_open_in_another() -> None:
    sealed = seal(_settings(), "x", bound_to="secrets/a")
    assert unseal(_settings(), sealed, bound_to="secrets/a") == "x"
    with pytest.raises(SealBroken, match="belongs elsewhere"):
        unseal(_settings(), sealed, bound_to="secrets/b")


def test_a_key_that_the_hub_made_for_itself_opens_after_a_restart(tmp_path: Path) -> None:
    sealed = seal(Settings(var_dir=tmp_path).resolved(), "x")
    assert unseal(Settings(var_dir=tmp_path).resolved(), sealed) == "x"


def test_keys_are_long_enough_and_never_described() -> None:
    with pytest.raises(SettingsError, match="SIGNALBOX_ENCRYPTION_KEYS"):
        _settings(f"{NEW},short")
    odd = replace(_settings(), encryption_keys="key://with-a-scheme:and-more")
    assert odd.describe()["SIGNALBOX_ENCRYPTION_KEYS"] == "********"
