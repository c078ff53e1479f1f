"""The identity provider: OpenID Connect, authorization code flow with PKCE, through Authlib.

What it publishes of itself is fetched when first needed and kept for an hour; its keys are fetched again when a
token names one that is not known, at most once a minute. Every call has a time limit, follows no redirect and
reads a bounded answer. Nothing of a token is logged or kept.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from webapp.domain.errors import HubError
from webapp.runtime import Runtime
from webapp.settingrules import is_private_way

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session
    from requests import Response

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
CALLBACK = "/sign-in/provider/callback"
KEPT_S, KEYS_AGAIN_S, FAILED_S = 3600.0, 60.0, 5.0
TIMEOUT_S = (5.0, 10.0)  # to connect, to read
MAX_BYTES = 1_048_576
LEEWAY_S = 60  # clocks differ
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
KEY_TYPES = ("RSA", "EC", "OKP")
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderTrouble(HubError):
    """The provider cannot be asked, or what it says cannot be believed; nothing was changed."""

    slug, status, title = "provider-trouble", 502, "The identity provider did not answer as it should"


@dataclass(frozen=True, slots=True)
class Flow:
    """What one sign-in has to bring back; kept by the browser, sealed."""

    state: str
    nonce: str
    verifier: str


class Provider:
    """Of one web process. Safe for threads: what two of them fetch at once is the same."""

    def __init__(self, rt: Runtime) -> None:
        self._rt, self._settings = rt, rt.settings
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: dict[str, Any] = {}
        self._fetched = self._keys_fetched = self._failed = float("-inf")

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to."""
        return self._settings.base_url + CALLBACK

    def begin(self) -> tuple[str, Flow]:
        """Where to send somebody, and what to keep until they come back. Raises ``ProviderTrouble``."""
        flow = Flow(*(secrets.token_urlsafe(32) for _ in range(3)))
        with self._session() as client:
            url, _ = client.create_authorization_url(
                self.metadata()["authorization_endpoint"],
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        return str(url), flow

    def redeem(self, flow: Flow, code: str) -> dict[str, Any]:
        """The claims of the ID token that the code is good for, checked. Raises ``ProviderTrouble``."""
        token = self._token(flow, code)
        found = token.get("id_token")
        if not isinstance(found, str):
            raise ProviderTrouble("The identity provider gave no ID token.")
        return self._checked(found, flow.nonce, token.get("access_token"))

    def sign_out_url(self) -> str | None:
        """Where people sign out of the provider as well, if it has such a place."""
        endpoint = self.metadata().get("end_session_endpoint")
        if not isinstance(endpoint, str) or not is_private_way(endpoint):
            return None
        back = {
            "client_id": self._settings.oidc_client_id,
            "post_logout_redirect_uri": self._settings.base_url + "/sign-in",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(back)}"

    def metadata(self) -> dict[str, Any]:
        """What the provider publishes of itself. Raises ``ProviderTrouble``."""
        with self._lock:
            now = time.monotonic()
            if now - self._fetched < KEPT_S:
                return self._metadata
            if now - self._failed < FAILED_S:
                raise ProviderTrouble("The identity provider did not answer just now.")
            try:
                self._metadata = self._discovered()
            except ProviderTrouble:
                self._failed = time.monotonic()
                raise
            self._fetched = time.monotonic()
            return self._metadata

    def _discovered(self) -> dict[str, Any]:
        issuer = self._settings.oidc_issuer
        found = self._fetch(issuer.rstrip("/") + WELL_KNOWN)
        if found.get("issuer") != issuer:
            raise ProviderTrouble("The identity provider calls itself something else than SIGNALBOX_OIDC_ISSUER.")
        for name in NEEDED:
            if not isinstance(found.get(name), str) or not is_private_way(found[name]):
                raise ProviderTrouble(f"The identity provider names no {name} that begins with https://.")
        return found

    def _key_set(self, *, again: bool) -> dict[str, Any]:
        uri = self.metadata()["jwks_uri"]
        with self._lock:
            age = time.monotonic() - self._keys_fetched
            if age >= KEPT_S or (again and age >= KEYS_AGAIN_S):
                self._keys = {"keys": _for_signatures(self._fetch(uri).get("keys"))}
                self._keys_fetched = time.monotonic()
            return self._keys

    def _token(self, flow: Flow, code: str) -> Mapping[str, Any]:
        from authlib.integrations.base_client import OAuthError
        from requests import RequestException

        url = self.metadata()["token_endpoint"]
        try:
            with self._session() as client:
                answer = client.fetch_token(
                    url, grant_type="authorization_code", code=code, code_verifier=flow.verifier,
                    timeout=TIMEOUT_S, allow_redirects=False, stream=True,
                )  # fmt: skip
        except OAuthError as error:
            log.warning("code refused by the provider: %s", error.error, extra={"action": "provider_refused_code"})
            raise ProviderTrouble(
                "The identity provider refused the code: it was used already or is too old."
            ) from None
        except (RequestException, ValueError) as error:
            raise _unreachable(error) from None
        return dict(answer)

    def _checked(self, id_token: str, nonce: str, access_token: Any) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jwk import KeySet
        from joserfc.jws import JWSRegistry

        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)

        def decoded(*, again: bool) -> Any:
            keys = KeySet.import_key_set(self._key_set(again=again))  # type: ignore[arg-type]
            return jwt.decode(id_token, keys, registry=registry)

        client_id = self._settings.oidc_client_id
        options = {"iss": {"value": self._settings.oidc_issuer}, "aud": {"value": client_id}}
        told = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
        try:
            try:
                token = decoded(again=False)
            except InvalidKeyIdError:
                token = decoded(again=True)
            claims = CodeIDToken(token.claims, token.header, options, told)
            claims.validate(now=int(self._rt.clock().timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            log.warning("ID token refused: %s", type(error).__name__, extra={"action": "id_token_refused"})
            raise ProviderTrouble(
                f"What the identity provider says of you cannot be believed: {_why(error)}."
            ) from None
        return dict(claims)

    def _fetch(self, url: str) -> dict[str, Any]:
        from requests import RequestException

        try:
            with self._session() as client:
                answer = client.get(url, withhold_token=True, timeout=TIMEOUT_S, allow_redirects=False, stream=True)
                if answer.status_code != 200:
                    raise ProviderTrouble(f"The identity provider answered {answer.status_code}.")
                found = answer.json()
        except (RequestException, ValueError) as error:
            raise _unreachable(error) from None
        if not isinstance(found, dict):
            raise ProviderTrouble("The identity provider answered something else than a JSON object.")
        return found

    def _session(self) -> OAuth2Session:
        from authlib.integrations.requests_client import OAuth2Session

        s = self._settings
        methods = self._metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        client = OAuth2Session(
            s.oidc_client_id, s.oidc_client_secret, token_endpoint_auth_method=method if s.oidc_client_secret else "none",
            scope=s.oidc_scopes, redirect_uri=self.redirect_uri, code_challenge_method="S256",
        )  # fmt: skip
        client.trust_env = False  # no .netrc, no proxy that nobody set here
        client.hooks["response"].append(_read_bounded)
        return client


def _for_signatures(found: Any) -> list[dict[str, Any]]:
    """The keys that may sign a token: one of a kind that is not known must not spoil the others."""
    keys = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [one for one in keys if one.get("kty") in KEY_TYPES and one.get("use", "sig") == "sig"]


def _read_bounded(response: Response, **_: Any) -> Response:
    """Read an answer of a call that streams, up to the limit and no further."""
    parts, size, end = [], 0, time.monotonic() + TIMEOUT_S[1]
    for part in response.iter_content(8192):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES or time.monotonic() > end:
            response.close()
            raise ValueError("too large or too slow")
    response._content = b"".join(parts)
    return response


def _unreachable(error: Exception) -> ProviderTrouble:
    log.warning("provider not reached: %s", type(error).__name__, extra={"action": "provider_unreachable"})
    return ProviderTrouble("The identity provider does not answer, or not in a way that can be read.")


def _why(error: Exception) -> str:
    """Which check failed; the names of checks tell nothing about anybody."""
    claim = getattr(error, "claim", None)
    words = {"ExpiredTokenError": "it has expired", "BadSignatureError": "its signature is wrong"}
    return words.get(type(error).__name__) or (f"its {claim} is wrong" if claim else "it is malformed")
