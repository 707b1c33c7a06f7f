"""What users search and what they do with the answers: recorded beside the searches, stored in Elasticsearch.

`wording` and `rows` say what is written down, `spool` keeps it on disk, `recorder` ships it, `store` is where it ends.
"""
