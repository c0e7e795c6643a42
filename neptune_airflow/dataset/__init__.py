"""A neptune-export: its configuration, parsed and checked."""
