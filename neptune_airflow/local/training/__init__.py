"""Model training on what data processing wrote."""
