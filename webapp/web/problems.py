"""The kinds of refusal that the hub knows: slug to title, status and what to do. ``/problems/<slug>`` shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind: its usual status, its title, and help for who meets it."""

    status: int
    title: str
    help: str


PROBLEMS: dict[str, Problem] = {
    "malformed-json": Problem(400, "Malformed JSON", "The body is not JSON (RFC 8259). NaN and Infinity are not JSON either."),
    "invalid-encoding": Problem(400, "Invalid encoding", "The body must be UTF-8 without a byte order mark."),
    "json-too-deep": Problem(400, "JSON too deep", "The document is nested deeper than the hub accepts (32 levels by default)."),
    "json-too-complex": Problem(400, "JSON too complex", "The document has too many values or keys, or too long ones."),
    "duplicate-key": Problem(400, "Duplicate key", "An object has the same key twice; parsers disagree about which one counts."),
    "number-out-of-range": Problem(422, "Number out of range", "Whole numbers must fit ±(2^53−1), others a finite double. Send larger ones as text."),
    "invalid-character": Problem(422, "Invalid character", "Text must not hold NUL or half of a surrogate pair."),
    "invalid-event": Problem(422, "Invalid event", "The event lacks a field or a field has the wrong form; each fault has a JSON Pointer."),
    "invalid-event-type": Problem(422, "Invalid event type", "Types are dotted lower-case names such as order.paid, at most 128 characters."),
    "invalid-timestamp": Problem(422, "Invalid timestamp", "Timestamps are RFC 3339 with an offset, such as 2026-03-02T12:00:00Z."),
    "unknown-field": Problem(422, "Unknown field", "The document has a field that is not part of this resource; look for a typing error."),
    "schema-violation": Problem(422, "Schema violation", "The event does not fit the schema of its type. It is kept as rejected and goes nowhere, also not by re-routing or a replay; send it again, mended."),
    "invalid-catalog-entry": Problem(422, "Invalid event type entry", "What is said of the event type has faults; each has a JSON Pointer."),
    "invalid-schema": Problem(422, "Invalid schema", "The version has faults: its JSON Schema (2020-12) cannot be used, or an example does not fit it."),
    "incompatible-schema": Problem(422, "Incompatible schema", "The change breaks what the event type promises; make the schema fit, or change the promise of the type."),
    "invalid-import": Problem(422, "Invalid import", "The document cannot be imported; each fault has a JSON Pointer. Nothing of it was taken."),
    "too-many-types": Problem(422, "Too many event types", "The catalog is full."),
    "too-many-versions": Problem(422, "Too many versions", "An event type has so many versions at most."),
    "invalid-sample": Problem(422, "Invalid sample", "The sample has faults; each has a JSON Pointer."),
    "too-many-samples": Problem(422, "Too many samples", "There is room for so many samples; delete some."),
    "invalid-payload": Problem(422, "Invalid payload", "The payload in a form has faults; each has a JSON Pointer."),
    "invalid-link": Problem(422, "Invalid link", "A link that fills in a form names what cannot be filled in."),
    "invalid-batch": Problem(422, "Invalid batch", "A batch is a JSON array of events, or NDJSON: one event a line."),
    "batch-refused": Problem(422, "Batch refused", "One event of an atomic batch was refused, so nothing of it was stored; the document names each that was."),
    "invalid-mark": Problem(422, "Invalid mark", "The mark has faults; each has a JSON Pointer."),
    "invalid-subscription": Problem(422, "Invalid subscription", "The subscription has faults; each has a JSON Pointer."),
    "invalid-source": Problem(422, "Invalid source", "The source has faults; each has a JSON Pointer."),
    "invalid-transform": Problem(422, "Invalid transform", "The transform has faults; each has a JSON Pointer."),
    "invalid-rules": Problem(422, "Invalid rules", "The files of rules have faults; each names its file and the place there."),
    "invalid-schedule": Problem(422, "Invalid schedule", "The schedule has faults; each has a JSON Pointer."),
    "invalid-selection": Problem(422, "Invalid selection", "The selection of deliveries has faults; each has a JSON Pointer."),
    "invalid-bulk": Problem(422, "Invalid bulk operation", "The bulk operation has faults; each has a JSON Pointer."),
    "invalid-condition": Problem(422, "Invalid condition", "The condition tree has faults; each has a JSON Pointer."),
    "invalid-pattern": Problem(422, "Invalid pattern", "Patterns are event types in which * stands for any run of characters, such as order.*"),
    "invalid-retry-policy": Problem(422, "Invalid retry policy", "The retry policy has faults; each has a JSON Pointer."),
    "unsupported-pattern": Problem(422, "Unsupported pattern", "Regular expressions are not supported; use globs, prefix, suffix or contains."),
    "invalid-user": Problem(422, "Invalid user", "The username, password or role cannot be used."),
    "invalid-key": Problem(422, "Invalid API key", "The name or role of the API key cannot be used."),
    "invalid-preferences": Problem(422, "Invalid preferences", "Choose one of the themes, densities, ways to tell times and time zones that the page offers."),
    "invalid-secret": Problem(422, "Invalid secret", "The name, value or description of the secret cannot be used."),
    "invalid-reason": Problem(422, "Invalid reason", "Say why; it is kept in the audit log."),
    "invalid-parameter": Problem(400, "Invalid parameter", "A query parameter is unknown, given twice or has a value that cannot be used."),
    "key-in-url": Problem(400, "API key in the URL", "Send the key in the Authorization header. A key that was in a URL should be revoked: logs keep URLs."),
    "invalid-snooze": Problem(422, "Invalid snooze", "Snooze a notification for 1h, 4h, 1d or 7d."),
    "invalid-push-subscription": Problem(422, "Invalid push subscription", "What the browser gave to be reached by cannot be used; turn it off and on again."),
    "push-unavailable": Problem(503, "Pushes unavailable", "The hub's key for pushes is made when its beat starts, and there is none yet: see that the beat runs."),
    "mail-unavailable": Problem(503, "Mail unavailable", "The hub has no mail server: set SIGNALBOX_SMTP_URL and SIGNALBOX_MAIL_FROM."),
    "invalid-host": Problem(400, "Invalid host", "The Host header names none of the hub's names: set SIGNALBOX_PUBLIC_URL or SIGNALBOX_ALLOWED_HOSTS."),
    "bad-request": Problem(400, "Bad request", "The request cannot be understood."),
    "too-many-fields": Problem(400, "Too many fields", "The form has more fields than any form of the hub."),
    "duplicate-field": Problem(400, "Duplicate field", "A form field was sent twice."),
    "unexpected-file": Problem(400, "Unexpected file", "No form of the hub takes files."),
    "invalid-content-encoding": Problem(400, "Invalid content encoding", "The body is not what its Content-Encoding says: it is cut off, or is not gzip at all."),
    "invalid-idempotency-key": Problem(400, "Invalid idempotency key", "Send one Idempotency-Key of 1 to 255 printable ASCII characters, best a UUID in double quotes."),
    "idempotency-in-progress": Problem(409, "Still in progress", "The first request with this Idempotency-Key is not answered yet. Wait as long as Retry-After says, then repeat it."),
    "idempotency-key-reused": Problem(422, "Idempotency key reused", "This Idempotency-Key came with another request before. Every new request needs a new key."),
    "batch-too-large": Problem(413, "Batch too large", "A batch has 1,000 events at most; send them in several."),
    "unauthenticated": Problem(401, "Unauthenticated", "Send a valid API key as 'Authorization: Bearer sbx_…', or sign in."),
    "sign-in-failed": Problem(401, "Sign-in failed", "The username or the password is wrong."),
    "forbidden": Problem(403, "Forbidden", "Your role or the role of the key does not allow this; ask an administrator."),
    "csrf-failed": Problem(403, "Form expired", "The form was too old or came from elsewhere. Load the page again and repeat."),
    "not-found": Problem(404, "Not found", "There is nothing here, or not any more."),
    "method-not-allowed": Problem(405, "Method not allowed", "The Allow header lists what this address takes."),
    "conflict": Problem(409, "Conflict", "The thing changed meanwhile, or its state does not allow this. Look again, then repeat."),
    "ambiguous-id": Problem(409, "Ambiguous id", "Several sources sent an event with this id; add ?source= to choose one."),
    "stale-revision": Problem(412, "Changed meanwhile", "If-Match names an older revision. Fetch the subscription again and repeat the change."),
    "payload-too-large": Problem(413, "Payload too large", "The body is larger than the hub accepts (1 MiB by default)."),
    "unsupported-media-type": Problem(415, "Unsupported media type", "Send Content-Type: application/json; charset utf-8 is the only one."),
    "unsupported-content-encoding": Problem(415, "Unsupported content encoding", "Send the body as it is, or with Content-Encoding: gzip."),
    "too-long": Problem(422, "Too long", "What was pasted is longer than the form takes."),
    "uri-too-long": Problem(414, "URI too long", "Use a shorter address."),
    "too-many-requests": Problem(429, "Too many requests", "This API key has used up its requests of the minute. Wait as long as Retry-After says."),
    "rate-limited": Problem(429, "Too many attempts", "Wait as long as the Retry-After header says."),
    "internal-error": Problem(500, "Internal error", "This is a fault of the hub. Its log has the details under the request id."),
    "sealed": Problem(503, "Cannot be decrypted", "No key of this hub opens what is stored: bring back its secret key, or name the old one in SIGNALBOX_ENCRYPTION_KEYS."),
    "storage-unavailable": Problem(503, "Storage unavailable", "The database does not answer. Nothing was stored; repeat the request."),
}  # fmt: skip
