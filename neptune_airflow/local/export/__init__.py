"""The export service: a property graph in, files and a training configuration out."""
