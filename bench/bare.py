"""The yardstick of the HTTP benchmark: a Flask route that parses the JSON and answers, and does nothing else."""

from __future__ import annotations

from types import SimpleNamespace

from flask import Flask, Response, jsonify, request

app = Flask(__name__)
# gunicorn.conf.py closes the sockets of an app when it stops; this one has none.
app.extensions["socketio"] = SimpleNamespace(server=SimpleNamespace(eio=SimpleNamespace(disconnect=lambda: None)))


@app.post("/api/v1/events")
def accept() -> tuple[Response, int]:
    """Parse, answer."""
    document = request.get_json()
    return jsonify(id=document["type"], duplicate=False), 202
