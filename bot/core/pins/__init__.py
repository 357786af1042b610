"""Pin sites: find exactly one in a text, say what it holds, replace it, keep every other byte.

`sites.py` is the room's face: read, drift, edits, rewrite. `value.py` knows the forms a value has, and
`current.py` the pin that the first site says. One file per kind of site finds it: `dotenv`, `terraform`,
`dockerfile`, `markdown` (with `tables` and `tokens`) and `pattern`; `text.py` and `syntax.py` are their floor.
"""
