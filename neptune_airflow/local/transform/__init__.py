"""Model transform: a trained model speaks on a graph anew, without training."""
