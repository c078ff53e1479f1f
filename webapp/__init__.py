"""The web side of Signalbox and everything that it shares with the workers.

This file stays empty of imports: ``import webapp.domain`` runs it, and a worker must not load Flask.
"""
