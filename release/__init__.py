"""What a release must be: its files have all that they should, and serve whoever installs them."""
