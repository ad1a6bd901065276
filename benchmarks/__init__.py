"""One script per question; see README.md beside this file."""
