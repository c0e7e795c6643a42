"""Data processing: an export in, a graph ready for training out."""
