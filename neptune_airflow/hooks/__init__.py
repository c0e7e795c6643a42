"""The code that talks to Neptune and to the export service."""
