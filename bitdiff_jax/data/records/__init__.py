"""Prepared records: a data set as array_record shards that train fast and are read by anyone.

`writer.prepare` writes them from a reader, goes on where it was stopped (`resume`) and tells what
is in them (`summary`); `source.RecordSource` reads them. `schema` says what a record holds,
`layout` what lies where; `shards` makes one shard, `pool` many, `metadata` what leads to them.
"""
