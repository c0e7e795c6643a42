"""The real operators, triggers and sensors in a simulated Airflow, on simulated time, through seeded misfortune.

A schedule is a number: the same number is the same schedule, step for step.
"""
