"""Errors, checks, numbers, files, intervals: what every room uses. Imports no other room."""
