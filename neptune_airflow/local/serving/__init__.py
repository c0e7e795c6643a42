"""Endpoints' models: what a training or a transform left, loaded once, and asked over and over."""
