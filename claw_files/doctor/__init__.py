"""The doctor: finds problems in a workspace, and repairs the unambiguous ones.

The check walks the folders with a bounded reader of its own, which follows and waits for nothing, and reads with the
product's parsers: a file says the same to the doctor as to the heartbeat. A second, independent reader lives in the
tests (`tests/doctor/oracle`). Only `repair` writes, by the services.
"""
