"""FHIR search: parameters, index rows, queries and their SQL.

`parameters` says what can be searched, `rows` extracts the index rows of a resource, `query` reads a search, `sql` compiles it,
`run` carries one out through a read function that is handed in.
"""
