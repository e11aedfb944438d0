"""Pictures and label maps: files -> sources -> transforms -> batches.

`images` reads and writes files; `folder` and `scenes` are sources, that is `len(source)` and
`source[i]`; `transforms` brings an item to network size; `augment` changes it at random; `pipeline`
makes batches. Import the module that is needed: `pipeline` alone loads grain.
"""
