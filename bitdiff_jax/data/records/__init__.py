"""Prepared records: a data set as array_record shards that train fast and are read by anyone.

`writer.prepare` writes them from a reader, goes on where it was stopped (`unfinished`) and tells
what is in them (`summary`); `record_source.RecordSource` reads them. `schema` says what a record
holds, `folder_layout` what lies where; `shards` makes one shard, `pool` many, `metadata` what
leads to them. `feature_cache` keeps an encoder's features beside them, in files that `shard_files`
writes and checks like theirs.
"""
