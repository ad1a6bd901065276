"""What the figures show, measured: functions of a case that return plain named arrays.

Every one uses the engine for what it measures, `mixdyn.bounds` for bounds and `mixdyn.oracles` for
closed forms.
"""
