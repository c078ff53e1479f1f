"""The tables of exports and imports; ``webapp.store.tables`` has the others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from webapp.store.columns import Autokey, Instant, Json, id_text, metadata

# A file that is written (export) or read (import) in the background.
transfers = Table(
    "transfers",
    metadata,
    Column("id", id_text(), primary_key=True),
    Column("direction", id_text(8), nullable=False),  # export import
    Column("what", id_text(16), nullable=False),  # events deliveries audit
    Column("format", id_text(16), nullable=False),  # csv ndjson cloudevents
    Column("filter", Json, nullable=False, server_default="{}"),  # of an export, its times fixed when it was asked for
    Column("shows_payloads", Boolean, nullable=False),  # the file tells what is inside of events
    Column("file_name", Text, nullable=False),
    Column("digest", id_text(64)),  # of the file of an import
    Column("options", Json, nullable=False, server_default="{}"),
    Column("state", id_text(16), nullable=False),  # running paused done aborted
    Column("state_reason", Text),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("failed", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),  # of the file
    Column("pieces", Integer, nullable=False, server_default="0"),
    Column("cursor", id_text()),  # the last row that was looked at; of an import, piece and line
    Column("lease_owner", id_text(160)),
    Column("lease_until", Instant),
    Column("actor_kind", id_text(16), nullable=False),
    Column("actor_id", id_text(64), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("file_until", Instant),  # the file is there until then; NULL: it is not there
    Column("v", Integer, nullable=False, server_default="0"),
    Index("ix_transfers_state", "state", "id"),
    Index("ix_transfers_file_until", "file_until"),
)

# The file, compressed piece by piece. No foreign key: an import's pieces are there before its row.
transfer_pieces = Table(
    "transfer_pieces",
    metadata,
    Column("transfer_id", id_text(), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("lines", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

transfer_faults = Table(
    "transfer_faults",
    metadata,
    Column("seq", Autokey, primary_key=True, autoincrement=True),
    Column("transfer_id", id_text(), ForeignKey("transfers.id"), nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Index("ix_transfer_faults_transfer_id_seq", "transfer_id", "seq"),
)
