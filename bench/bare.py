"""The yardstick of the HTTP benchmark: a Flask route that parses the JSON and answers, and does nothing else."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/api/v1/events")
def accept() -> tuple[Response, int]:
    """Parse, answer."""
    document = request.get_json()
    return jsonify(id=document["type"], duplicate=False), 202
