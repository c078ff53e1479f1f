"""Kinds of inbound sources in the words of people: what each is, what to enter at the sender, and how to try it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KindWords:
    """One kind. ``steps`` may hold {url}."""

    label: str
    about: str
    steps: tuple[str, ...]
    secret: str = ""  # what the secret is called at the sender; empty: there is none


CONSUMERS = "It is read by the processes that SIGNALBOX_CONSUMERS starts; they need requirements-connectors.txt."
KINDS: dict[str, KindWords] = {
    "github": KindWords(
        "GitHub",
        "Webhooks of a repository or an organisation.",
        (
            "At GitHub, open Settings → Webhooks → Add webhook.",
            "Payload URL: the address above. Content type: application/json.",
            "Secret: the secret of this source. Choose the events, then Add webhook.",
            "GitHub sends a ping at once; it becomes an event of the type github.ping.",
        ),
        "the secret of the webhook",
    ),
    "stripe": KindWords(
        "Stripe",
        "Events of a Stripe account.",
        (
            "At Stripe, open Developers → Webhooks → Add destination, and enter the address above.",
            "Copy its signing secret (whsec_…) and set it here with Rotate the secret.",
            "Send a test event; it becomes an event such as stripe.charge.refunded.",
        ),
        "the signing secret of the endpoint (whsec_…)",
    ),
    "slack": KindWords(
        "Slack",
        "Events, slash commands and interactions of a Slack app.",
        (
            "At api.slack.com, open your app → Basic Information, and copy its signing secret to here with Rotate the secret.",
            "Event Subscriptions → Request URL: the address above. Slack asks whether it answers; the hub does.",
            "Slash commands and Interactivity take the same address. The hub answers them with nothing to show.",
        ),
        "the signing secret of the app",
    ),
    "standard": KindWords(
        "Standard Webhooks",
        "Senders that sign as standardwebhooks.com says, such as another Signalbox.",
        (
            "Enter the address above at the sender.",
            "Symmetric (v1): both have the same secret, whsec_… . Asymmetric (v1a): set the sender's public key, whpk_…, here.",
        ),
        "the secret whsec_…, or the public key whpk_… of the sender",
    ),
    "hmac": KindWords(
        "Signed (HMAC)",
        "Any sender that signs the body with a shared secret and puts the signature into a header.",
        (
            "Enter the address above at the sender, and the same secret on both sides.",
            "With a timestamp header, what is signed is the timestamp, a dot and the body; without, the body alone.",
        ),
        "the shared secret",
    ),
    "basic": KindWords(
        "Basic authentication",
        "Senders that can send a user and a password and nothing better.",
        ("Enter the address above at the sender, with the user and the password.",),
        "the password",
    ),
    "none": KindWords(
        "No verification",
        "Whoever knows the address is believed. For senders that can do nothing else.",
        ("Enter the address above at the sender, and nowhere else.",),
    ),
    "publish": KindWords(
        "Publish from a shell",
        "One address, one line: for curl, cron and scripts.",
        (
            "Put the type of the event behind the address.",
            "Parameters of the address become fields of the payload; so do a form and JSON in the body.",
            "HEAD, and browsers that fetch ahead, publish nothing.",
        ),
    ),
    "rabbitmq": KindWords(
        "RabbitMQ",
        "Messages of a queue (AMQP 0-9-1).",
        (
            "The queue has to be there. What the hub refuses goes to its dead-letter exchange, if it has one.",
            "A message needs a message-id, or be a CloudEvent, for the hub to know it when it comes again.",
            CONSUMERS,
        ),
        "the password at the broker",
    ),
    "kafka": KindWords(
        "Kafka",
        "Messages of a topic, read in a consumer group.",
        (
            "Topic, partition and offset are the id of an event. Offsets are committed when events are on disk.",
            CONSUMERS,
        ),
        "the password at the broker",
    ),
    "nats": KindWords(
        "NATS JetStream",
        "Messages of a stream, through a durable consumer.",
        ("The stream has to be there; the durable consumer is made when it is not.", CONSUMERS),
        "the password at the server, or the token when no user is named",
    ),
    "mqtt": KindWords(
        "MQTT",
        "Messages of topics, over MQTT 5, at least once.",
        (
            "The broker keeps the session while the hub is away. With a group, several consumers share the messages.",
            "MQTT has no id that stays: a message that comes again is another event, unless it is a CloudEvent.",
            CONSUMERS,
        ),
        "the password at the broker",
    ),
    "redis": KindWords(
        "Redis stream",
        "Entries of a stream, read in a consumer group.",
        ("The group is made when it is not there. The id of an entry is the id of its event.", CONSUMERS),
        "the password of that Redis",
    ),
}
OPTION_WORDS: dict[str, tuple[str, str, str]] = {  # of sources that are consumed: label, hint, example
    "queue": ("Queue", "", "orders"),
    "topic": ("Topic", "Of MQTT it may have wildcards.", "orders"),
    "stream": ("Stream", "", "ORDERS"),
    "group": ("Group", "All consumers of the hub read as this group, and share what comes.", "signalbox"),
    "filter": ("Subjects", "Only those that fit, such as orders.>; empty: all of the stream.", "orders.>"),
    "begin": ("A new group begins with", "", ""),
    "mechanism": ("SASL mechanism", "Where the URL names a user.", ""),
}
URL_EXAMPLES = {
    "rabbitmq": "amqps://hub@rabbit.example.com/vhost",
    "kafka": "kafkas://hub@broker1.example.com,broker2.example.com",
    "nats": "tls://hub@nats.example.com",
    "mqtt": "mqtts://hub@mqtt.example.com",
    "redis": "rediss://hub@redis.example.com/0",
}
CHOICE_WORDS = {"new": "what comes from now on", "all": "all that is there"}


def trial(row: Any, url: str) -> str:
    """A command that sends one request as the sender would. ``$SECRET`` is for the person to fill in."""
    return _TRIALS[row.kind](url, row.options)


def _github(url: str, options: Any) -> str:
    return _signed(
        url, "X-Hub-Signature-256: sha256=$SIG", '"$BODY"', ("X-GitHub-Event: ping", "X-GitHub-Delivery: $(date +%s)")
    )


def _stripe(url: str, options: Any) -> str:
    return _signed(url, "Stripe-Signature: t=$AT,v1=$SIG", '"$AT.$BODY"', body='{"id":"evt_test","type":"test.sent"}')


def _slack(url: str, options: Any) -> str:
    body = '{"type":"url_verification","challenge":"it works"}'
    return _signed(url, "X-Slack-Signature: v0=$SIG", '"v0:$AT:$BODY"', ("X-Slack-Request-Timestamp: $AT",), body)


def _standard(url: str, options: Any) -> str:
    return (
        "pip install standardwebhooks\n"
        "python - <<'END'\n"
        "import datetime, urllib.request\n"
        "from standardwebhooks import Webhook\n"
        "secret, body = 'whsec_…', '{\"type\":\"test.sent\"}'\n"
        "now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)\n"
        "headers = {'webhook-id': f'msg_{now.timestamp():.0f}', 'webhook-timestamp': f'{now.timestamp():.0f}',\n"
        "           'content-type': 'application/json'}\n"
        "headers['webhook-signature'] = Webhook(secret).sign(headers['webhook-id'], now, body)\n"
        f"request = urllib.request.Request('{url}', body.encode(), headers)\n"
        "print(urllib.request.urlopen(request).read())\n"
        "END"
    )


def _hmac(url: str, options: Any) -> str:
    timed = options.get("timestamp_header")
    more = (f"{timed}: $AT",) if timed else ()
    header = f"{options.get('header', 'X-Signature')}: {options.get('prefix', '')}$SIG"
    return _signed(url, header, '"$AT.$BODY"' if timed else '"$BODY"', more, options=options)


def _basic(url: str, options: Any) -> str:
    return f"curl -u '{options.get('user', '')}' --json '{{\"hello\": \"hub\"}}' {url}"


def _none(url: str, options: Any) -> str:
    return f'curl --json \'{{"hello": "hub"}}\' {url}'


def _publish(url: str, options: Any) -> str:
    return (
        f"curl '{url}/backup.done?host=db1'\n"
        f"curl -d 'disk is full' {url}/disk.full\n"
        f"0 3 * * *  backup.sh && curl -fsS '{url}/backup.done'"
    )


def _signed(
    url: str,
    signature: str,
    content: str,
    more: tuple[str, ...] = (),
    body: str = '{"zen":"Keep it simple."}',
    options: Any = None,
) -> str:
    chosen = options or {}
    digest = f'openssl dgst -{chosen.get("algorithm", "sha256")} -hmac "$SECRET"'
    as_text = "-binary | base64 -w0" if chosen.get("encoding") == "base64" else "| sed 's/^.* //'"
    headers = "".join(f' \\\n  -H "{header}"' for header in (signature, *more))
    return (
        f"SECRET='…' AT=$(date +%s) BODY='{body}'\n"
        f"SIG=$(printf %s {content} | {digest} {as_text})\n"
        f'curl --json "$BODY"{headers} \\\n  {url}'
    )


def _rabbitmq(url: str, options: Any) -> str:
    return f"rabbitmqadmin publish routing_key='{options['queue']}' payload='{SAMPLE}'"


def _kafka(url: str, options: Any) -> str:
    brokers = options["url"].partition("://")[2].rpartition("@")[2]
    return f"echo '{SAMPLE}' | kafka-console-producer.sh --bootstrap-server {brokers} --topic {options['topic']}"


def _nats(url: str, options: Any) -> str:
    return f"nats pub --jetstream {options.get('filter', 'SUBJECT').replace('>', 'test')} '{SAMPLE}'"


def _mqtt(url: str, options: Any) -> str:
    return f"mosquitto_pub -L '{options['url']}/{options['topic'].replace('#', 'test')}' -q 1 -m '{SAMPLE}'"


def _redis(url: str, options: Any) -> str:
    return f"redis-cli -u '{options['url']}' xadd {options['stream']} '*' type test.sent"


SAMPLE = '{"type": "test.sent"}'
_TRIALS = {
    "github": _github,
    "stripe": _stripe,
    "slack": _slack,
    "standard": _standard,
    "hmac": _hmac,
    "basic": _basic,
    "none": _none,
    "publish": _publish,
    "rabbitmq": _rabbitmq,
    "kafka": _kafka,
    "nats": _nats,
    "mqtt": _mqtt,
    "redis": _redis,
}
