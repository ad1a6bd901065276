"""One file a figure: which claims it shows, what it needs measured, how it is drawn."""
