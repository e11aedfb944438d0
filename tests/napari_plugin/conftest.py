from tests.inference import conftest as tiny_model

workdir, segmenter = tiny_model.workdir, tiny_model.segmenter
