"""``create_app``: wiring and nothing else. Whatever decides something lives in a room below."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import cli, cli_people, cli_secrets
from webapp.runtime import Runtime, build_runtime
from webapp.settings import ROOT, Settings
from webapp.web import (
    api,
    assets,
    auth,
    compress,
    context,
    errors,
    inbound,
    metrics,
    render,
    second_step,
    security,
    sockets,
)
from webapp.web.edge import Edge
from webapp.web.pages import (
    api_docs,
    audit,
    backtest,
    bulk,
    condition_check,
    condition_edit,
    deliveries,
    event_type_edit,
    event_types,
    events,
    explain,
    keys,
    mail_address,
    needs,
    notification_settings,
    notifications,
    overview,
    palette,
    people,
    people_links,
    performance,
    preferences,
    problems,
    provider,
    read_only,
    reroute,
    samples,
    schedules,
    second_factor,
    secrets,
    session,
    setup,
    sources,
    styleguide,
    submit,
    subscription_edit,
    subscription_flow,
    subscription_history,
    subscription_transform,
    subscriptions,
    tail,
    transfer_imports,
    transfers,
    viewers,
    workers,
)
from webapp.web.pages import errors as error_pages
from webapp.web.pages import (
    settings as settings_pages,
)

PAGES = (
    overview, events, tail, explain, submit, samples, reroute, deliveries, needs, bulk, transfer_imports, transfers, error_pages, subscriptions, subscription_edit, condition_edit, condition_check, subscription_flow, subscription_history, subscription_transform, backtest,
    event_types, event_type_edit, notifications, notification_settings, mail_address, workers, performance, audit, schedules, sources, settings_pages, people, people_links, read_only, keys, secrets, api_docs, session, second_factor, provider, setup, problems, palette, preferences, viewers, styleguide,
)  # fmt: skip


def create_app(settings: Settings | None = None, *, runtime: Runtime | None = None) -> Flask:
    """The application. Tests bring their own ``runtime``; a server gets one from the settings, which connects lazily."""
    if runtime is None:
        runtime = build_runtime(Settings.from_env() if settings is None else settings)
    app = Flask(
        "webapp",
        template_folder=str(ROOT / "templates"),
        static_folder=None,  # ``assets`` serves them
    )
    context.put_hub(app, runtime)
    security.protect(app, runtime.settings)
    compress.install(app)
    assets.install(app)
    errors.install(app)
    app.before_request(auth.guard)
    app.before_request(second_step.gate)
    render.init_render(app)
    _add_rooms(app)
    cli.init_cli(app)
    app.cli.add_command(cli_people.read_only)
    app.cli.add_command(cli_secrets.secrets)
    pages = app.wsgi_app
    sockets.init_sockets(app, runtime)
    app.wsgi_app = Edge(pages, app.wsgi_app, runtime.settings, metrics.watch(app, runtime))  # type: ignore[method-assign]
    if hops := runtime.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops)  # type: ignore[method-assign]
    return app


def _add_rooms(app: Flask) -> None:
    for room in (api.bp, api.health.bp, api.openapi.bp, metrics.bp, inbound.bp, *(page.bp for page in PAGES)):
        app.register_blueprint(room)
