"""The waiting side of operators and sensors."""
