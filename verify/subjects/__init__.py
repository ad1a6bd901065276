"""Facts about samplers of public libraries as claims: a subject stands in place of a paper.

A file of `facts` is a statement and its measurement, a file of `libraries` what one library has. A
library at a version is the case of their rows. Nothing here runs unless it is asked for.
"""
