"""The rules: plain functions over values. No files, no clock, no randomness."""
