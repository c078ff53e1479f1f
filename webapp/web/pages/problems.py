"""Help for each kind of refusal: what the ``type`` of a problem document leads to."""

from __future__ import annotations

from flask import Blueprint, render_template

from webapp.domain.errors import NotFound
from webapp.web.auth import public
from webapp.web.problems import PROBLEMS

bp = Blueprint("problems", __name__, url_prefix="/problems")


@bp.get("/<slug>")
@public
def show(slug: str) -> str:
    """One kind."""
    if slug not in PROBLEMS:
        raise NotFound("There is no such problem type.")
    return render_template("problems/show.html", slug=slug, problem=PROBLEMS[slug])
