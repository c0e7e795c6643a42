"""Tasks that submit a Neptune ML job once and wait for it."""
