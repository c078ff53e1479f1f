"""The application as WSGI servers and ``flask --app wsgi`` find it."""

from webapp.app import create_app

app = create_app()
