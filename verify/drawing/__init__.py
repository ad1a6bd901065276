"""How a figure is drawn: its spec, colours, axes, titles. No claim, nothing measured."""
