"""Pin sites: find exactly one in a text, say what it holds, replace it, keep every other byte.

`value.py` knows the forms a value has; one file per kind of site finds it (`dotenv`, `terraform`,
`dockerfile`, `markdown`, `pattern`); `sites.py` brings them together: read, drift, edits.
"""
