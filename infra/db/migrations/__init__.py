"""The history of the schema, oldest first; ``infra/db/schema.py`` runs it."""
