"""The application as WSGI servers and ``flask --app wsgi`` find it."""

from webapp.app import create_app
from webapp.settings import load_settings

app = create_app(load_settings())
