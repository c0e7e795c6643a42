"""A local Neptune ML service: the same HTTP, on a laptop, with no AWS account."""
