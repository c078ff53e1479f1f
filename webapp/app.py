"""``create_app``: wiring and nothing else. Whatever decides something lives in a room below."""

from __future__ import annotations

import importlib
import importlib.util

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import cli
from webapp.runtime import Runtime, build_runtime
from webapp.settings import ROOT, Settings
from webapp.web import api, auth, context, errors, metrics, render, requests, security

PAGES = (
    "overview", "events", "submit", "deliveries", "errors", "subscriptions", "subscription_edit", "notifications",
    "workers", "performance", "audit", "settings", "api_docs", "session", "setup", "problems",
)  # fmt: skip


def create_app(settings: Settings | None = None, *, runtime: Runtime | None = None) -> Flask:
    """The application. Tests bring their own ``runtime``; a server gets one from the settings, which connects lazily."""
    if runtime is None:
        runtime = build_runtime(Settings.from_env() if settings is None else settings)
    app = Flask(
        "webapp",
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        static_url_path="/static",
    )
    context.put_hub(app, runtime)
    security.protect(app, runtime.settings)
    metrics.observe(app, runtime)
    errors.install(app)
    app.before_request(auth.guard)
    app.after_request(auth.touch_key_later)
    app.before_request(requests.check_request)  # before the token is looked for: that parses the form
    csrf = CSRFProtect(app)
    csrf.exempt(api.bp)  # keys instead of cookies: see webapp.web.auth
    render.init_render(app)
    _add_rooms(app)
    _add_sockets(app, runtime)
    cli.init_cli(app)
    if hops := runtime.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops)  # type: ignore[method-assign]
    return app


def _add_rooms(app: Flask) -> None:
    for room in (api.bp, api.health.bp, api.openapi.bp, metrics.bp):
        app.register_blueprint(room)
    for name in PAGES:
        if importlib.util.find_spec(f"webapp.web.pages.{name}") is not None:
            page = importlib.import_module(f"webapp.web.pages.{name}")
            if page.bp.name not in app.blueprints:
                app.register_blueprint(page.bp)


def _add_sockets(app: Flask, runtime: Runtime) -> None:
    if importlib.util.find_spec("webapp.web.sockets") is not None:
        importlib.import_module("webapp.web.sockets").init_sockets(app, runtime)
