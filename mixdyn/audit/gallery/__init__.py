"""The gallery: cards of every public sampler that the adapters offer, kept, and told in one page.

rows        what is measured of a sampler, as JSON          keeping  rows on disk, and how they come
mechanism   does it return the data's law, and why not      page     samplers.md, of the rows alone
"""
