"""Signing in with a second factor, with a recovery code, and by an identity provider: as a person does it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pyotp
import pytest

from tests.support.chromium import Visitor
from tests.support.hub import PASSWORD, Hub, running_hub
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, TestProvider, running_provider

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def provider() -> Iterator[TestProvider]:
    with running_provider() as found:
        yield found


@pytest.fixture(scope="module")
def hub_with_provider(provider: TestProvider) -> Iterator[Hub]:
    told = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
    with running_hub(oidc_name="Acme", oidc_create_users=True, second_factor="admins", workers=0, isolated_workers=0, **told) as hub:  # fmt: skip
        yield hub


def _half_in(person: Visitor, name: str) -> None:
    person.go("/sign-in")
    person.page.fill("input[name=username]", name)
    person.page.fill("input[name=password]", PASSWORD)
    person.page.get_by_role("button", name="Sign in").click()
    person.page.wait_for_url("**/sign-in/code")


def _give(person: Visitor, code: str) -> None:
    person.page.get_by_label("Code").fill(code)
    person.page.get_by_role("button", name="Go on").click()
    person.page.wait_for_url(lambda url: "/sign-in" not in url)


def test_administrator_is_led_to_a_second_factor_and_signs_in_with_it(hub_with_provider: Hub, visit: Visit) -> None:
    hub = hub_with_provider
    olga = f"olga-{uuid.uuid4().hex[:6]}"  # the hub is shared, also with a second try
    hub.create_user(olga, "admin")
    person = visit(hub)
    person.sign_in(olga, PASSWORD)
    page = person.page
    page.wait_for_url("**/settings/account/second-factor")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function("document.querySelector('img.qr')?.naturalWidth > 0")  # the content policy lets it show
    totp = pyotp.TOTP(page.locator("#factor-key").inner_text().replace(" ", ""))
    page.get_by_label("Code of the app").fill(totp.now())
    page.get_by_role("button", name="Switch on").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    assert person.blocked() == []
    other = visit(hub)
    _half_in(other, olga)
    _give(other, codes[0])
    other.go("/settings/account")
    assert "Recovery codes left: 9" in other.page.locator("main").inner_text()
    third = visit(hub)
    _half_in(third, olga)
    _give(third, totp.at(_next_step(totp)))  # of the step to come, which drift forgives: the present one is used up
    third.go("/audit")


def _next_step(totp: pyotp.TOTP) -> int:
    import time

    return int(time.time()) + totp.interval


def test_somebody_signs_in_by_the_provider_and_out_again(
    hub_with_provider: Hub, provider: TestProvider, visit: Visit
) -> None:
    person = visit(hub_with_provider)
    person.go("/sign-in?next=/audit")
    person.page.get_by_role("link", name="Sign in with Acme").click()
    person.page.wait_for_url("**/audit")
    person.go("/settings/account")
    assert "You are grace, viewer." in person.page.locator("main").inner_text()
    assert person.blocked() == []
    person.page.locator(".user").click()
    person.page.get_by_role("button", name="Sign out").click()
    person.page.wait_for_url("**/sign-in")
    assert "maybe not of Acme" in person.page.locator("main").inner_text()
