"""Certificates of outgoing calls: our own (mutual TLS) and the authority that signed the receiver's.

Each is given as PEM text (a secret of the hub, usually) or as the name of a file in the one folder that a setting
allows. Contexts are kept, so that connections are used again.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

PEM = "-----BEGIN "
MAX_FILE_BYTES = 256 * 1024
KEPT = 64  # contexts


@dataclass(frozen=True, slots=True, repr=False)
class Tls:
    """What a call shows and whom it trusts; PEM text or names of files, empty for none."""

    certificate: str = ""
    key: str = ""
    ca: str = ""


class TlsContexts:
    """Makes contexts, and keeps the latest."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()

    def context(self, tls: Tls, *, http2: bool = False) -> ssl.SSLContext:
        """The context. Raises ``ValueError`` when a file may not be read or a certificate is none."""
        texts = [self._pem(part) for part in (tls.certificate, tls.key, tls.ca)]
        id = hashlib.sha256("\0".join((*texts, str(http2))).encode()).digest()
        if id not in self._kept:
            self._kept[id] = _make(*texts, http2=http2)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(id)
        return self._kept[id]

    def _pem(self, given: str) -> str:
        if not given or given.lstrip().startswith(PEM):
            return given
        if self._folder is None:
            raise ValueError("files of certificates need SIGNALBOX_CREDENTIALS_DIR; or give the PEM itself")
        folder = self._folder.resolve()
        path = (folder / given).resolve()  # symbolic links are followed before it is judged
        if not path.is_relative_to(folder):
            raise ValueError(f"{Path(given).name} is not in the folder of SIGNALBOX_CREDENTIALS_DIR")
        try:
            with path.open("rb") as file:
                return file.read(MAX_FILE_BYTES).decode("ascii")
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"the file {given} cannot be read") from None


def _make(certificate: str, key: str, ca: str, *, http2: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca or None)
        if certificate:
            _load(context, certificate, key)
    except ssl.SSLError as error:
        raise ValueError(f"the certificate, its key or the CA cannot be used: {error.reason or 'no PEM'}") from None
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads these from a file alone: one that nobody else can read, for as long as that takes."""
    handle, path = tempfile.mkstemp(prefix="signalbox-")
    try:
        with os.fdopen(handle, "w", encoding="ascii", errors="replace") as file:
            file.write(f"{certificate}\n{key}\n")
        context.load_cert_chain(path, password=lambda: "")
    finally:
        Path(path).unlink()
