"""Side by side: what a fault does to the amazon provider's Glue jobs and to Neptune ML jobs, counted.

`python -m chaos.beside` prints the table of ``docs/side-by-side.md``, which also says how it is measured.
"""
