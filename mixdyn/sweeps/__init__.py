"""Much work of one kind in shards: what they are, who does them, where finished rows are kept.

What a row says is known elsewhere: this room has no mathematics of its own."""
