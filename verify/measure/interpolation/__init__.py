"""The problems and networks of arXiv 2406.09358: lines, planes, the detector."""
