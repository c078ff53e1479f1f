"""A whole hub under random faults, and the verdict on what it promised.

``python -m tests.chaos --help`` runs it; ``docs/reliability.md`` says what is promised and how it is shown.
"""
