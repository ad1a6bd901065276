"""The forward process and its score.

A mixture stays a mixture under the forward process. Its score is an average over modes, and in
static coordinates the reverse dynamics know the schedule only through one variance $v$.
"""

PLACE = 1
