"""What the docs site has beside the files of docs/: pages written from what exists, none by hand.

hooks       when MkDocs asks for them        pages      the texts at the root of the repository
reference   public names, from docstrings    gallery    figures, from the papers' folders
notebook    the first hour, executed         docstrings their Markdown
"""
