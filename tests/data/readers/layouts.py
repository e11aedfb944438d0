"""Small data sets in their authors' layouts, one function a kind: they write, and tell the truth.

Each returns `{split: {name: (image, maps)}}`, made beside the files and not from them.
"""

import io
import json
import pathlib

import numpy as np
import scipy.io
from PIL import Image

from bitdiff_jax.data import images


def make_image(seed, height=12, width=17):
    """Smooth enough that JPEG keeps it to within a few levels."""
    y, x = np.mgrid[:height, :width]
    return np.stack([(seed * 37 + 2 * y) % 256, 90 + x, 200 - x - y], -1).astype(np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **{"quality": 95, "subsampling": 0} | options)


def quarters(height=12, width=17, ids=(1, 2, 3, 4)):
    y, x = np.mgrid[:height, :width]
    return np.array(ids)[2 * (y >= height // 2) + (x >= width // 3)].astype(np.int32)


def write_groundtruth(path, maps, dtype=np.uint16, compress=True):
    """As MATLAB's save has it: a 1 x N cell array of 1 x 1 structs."""
    cells = np.empty((1, len(maps)), object)
    for k, ids in enumerate(maps):
        edges = np.zeros(ids.shape, bool)
        edges[:, 1:] = ids[:, 1:] != ids[:, :-1]
        cells[0, k] = {"Segmentation": ids.astype(dtype), "Boundaries": edges}
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"groundTruth": cells}, do_compression=compress)


def bsds500(root):
    truth = {}
    for number, split in enumerate(("train", "val", "test")):
        truth[split] = {}
        for k in range(2):
            name, image = f"{number}20{k}8", make_image(number + 3 * k)
            maps = [quarters(ids=(1, 2, 3, 3 + (annotator > 0))) for annotator in range(2 + k)]
            data = root / "BSR" / "BSDS500" / "data"
            save(data / "images" / split / f"{name}.jpg", image)
            write_groundtruth(data / "groundTruth" / split / f"{name}.mat", maps)
            truth[split][name] = image, maps
        (data / "images" / split / "Thumbs.db").write_bytes(b"x")
    return truth


def masks(root):
    """Data Science Bowl 2018: stage1_train has masks, stage1_test none."""
    truth = {}
    for k in range(3):
        name, image = f"{k}0071198d059ba7f5", make_image(k)
        folder = root / "stage1_train" / name
        save(folder / "images" / f"{name}.png", image)
        ids = quarters(ids=(-1, 1, 2, 3))
        for region in (1, 2, 3):
            save(folder / "masks" / f"{region}f0a.png", np.uint8(255) * (ids == region))
        truth[name] = image, [ids]
    save(root / "stage1_test" / "0114f" / "images" / "0114f.png", make_image(9))
    (root / "stage1_train_labels.csv").write_text("ImageId,EncodedPixels\n")
    return {"stage1_train": truth}


def ade_mask(classes, objects):
    colours = np.stack([classes // 256 * 10, classes % 256, objects], -1)
    return colours.astype(np.uint8)


def ade20k(root):
    truth = {}
    for split, stem, scene in (
        ("training", "ADE_train", "urban/street"),
        ("validation", "ADE_val", "home_or_hotel/bedroom"),
    ):
        truth[split] = {}
        folder = root / "ADE20K_2021_17_01" / "images" / "ADE" / split / scene
        for k in range(2):
            name, image = f"{stem}_0001686{k}", make_image(k)
            # Class 0 with an object, a class beyond 255, two objects of a class, nothing.
            classes = quarters(ids=(0, 3055, 3055, 0))
            objects = quarters(ids=(0, 40, 200, 17))
            save(folder / f"{name}.jpg", image)
            save(folder / f"{name}_seg.png", ade_mask(classes, objects))
            save(folder / f"{name}_parts_1.png", ade_mask(classes * 0, objects * 0))
            save(folder / name / f"instance_000_{name}.png", np.uint8(255) * (objects == 40))
            (folder / f"{name}.json").write_text("{}")
            ids = quarters(ids=(-1, 3055 * 256 + 40, 3055 * 256 + 200, 17))
            truth[split][name] = image, [ids]
    return truth


def cityscapes(root):
    truth = {}
    for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        name, image = f"{city}_000000_000019", make_image(len(city))
        place = f"{split}/{city}/{name}"
        numbers = quarters(ids=(7, 26001, 26, 4))
        if split == "test":
            numbers[:] = 1
        save(root / "leftImg8bit" / f"{place}_leftImg8bit.png", image)
        save(root / "gtFine" / f"{place}_gtFine_instanceIds.png", numbers.astype(np.uint16))
        save(root / "gtFine" / f"{place}_gtFine_labelIds.png", np.zeros((12, 17), np.uint8))
        (root / "gtFine" / f"{place}_gtFine_polygons.json").write_text("{}")
        if split != "test":
            truth[split] = {name: (image, [quarters(ids=(7, 26001, -1, -1))])}
    return truth


def voc_palette():
    """VOC's colour of each number: its bits, three at a time, from the top of R, G and B."""
    colours = np.zeros((256, 3), np.uint8)
    for number in range(256):
        for bit in range(8):
            colours[number, bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return colours


def save_palette(path, ids, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids.astype(np.uint8))
    image = image.convert("P") if image.mode != "P" else image
    image.putdata(ids.astype(np.uint8).ravel().tolist())
    image.putpalette(voc_palette().ravel().tolist())
    image.save(path, **options)


def voc(root):
    base = root / "VOCdevkit" / "VOC2012"
    truth = {"train": {}, "val": {}}
    for k in range(4):
        name, image = f"2007_00003{k}", make_image(k)
        save(base / "JPEGImages" / f"{name}.jpg", image)
        save_palette(base / "SegmentationObject" / f"{name}.png", quarters(ids=(0, 1, 255, 2)))
        truth["val" if k % 2 else "train"][name] = image, [quarters(ids=(-1, 1, -1, 2))]
    save(base / "JPEGImages" / "2008_000001.jpg", make_image(8))  # boxes alone: no map
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in truth:
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in truth[split]))
    (lists / "trainval.txt").write_text("\n".join(sorted(truth["train"] | truth["val"])))
    (lists / "test.txt").write_text("2008_000001\n")
    return truth


def png(array):
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG")
    return data.getvalue()


def write_tfds(root, examples, features=None, *, name="pets", version="1.0.0", config=None):
    """Prepares a data set with tfds's own writer; `examples` by split."""
    import tensorflow_datasets as tfds

    features = features or {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
        "label": tfds.features.ClassLabel(num_classes=3),
    }

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        code_path = None  # it has no files of its own
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, manager):
            return {split: enumerate(examples[split]) for split in examples}

        def _generate_examples(self):
            raise NotImplementedError

    Builder.name = name
    builder = Builder(data_dir=str(root), file_format="array_record")
    builder.download_and_prepare()
    return pathlib.Path(builder.data_dir)


def tfds(root):
    truth, examples = {}, {}
    for split, count in (("train", 3), ("test", 2)):
        shown = [(make_image(k), quarters(ids=(0, 1, 2, 3 + k))) for k in range(count)]
        examples[split] = [
            {"image": png(image), "segmentation_mask": png(ids.astype(np.uint8)), "label": 1}
            for image, ids in shown
        ]
        truth[split] = {
            f"{split}-{k:08d}": (image, [np.where(ids, ids, -1)])
            for k, (image, ids) in enumerate(shown)
        }
    write_tfds(root, examples)
    return truth


def folder(root):
    truth = {"train": {}, "val": {}}
    for k in range(4):
        name, image = f"picture{k}", make_image(k)
        save(root / "images" / f"{name}.jpg", image)
        (root / "labels").mkdir(exist_ok=True)
        images.write_labels(root / "labels" / f"{name}.png", quarters())
        truth["val" if k > 2 else "train"][name] = image, [quarters()]
    (root / "splits.json").write_text(json.dumps({s: list(truth[s]) for s in truth}))
    return truth


def runs(mask):
    """COCO's plain run lengths, by columns, from 0."""
    values = np.append(mask.T.ravel().astype(int), -1)
    counts, value, length = [], 0, 0
    for each in values:
        if each == value:
            length += 1
        else:
            counts.append(length)
            value, length = each, 1
    return {"size": list(mask.shape), "counts": counts}


def coco(root, prefix, annotate):
    truth = {}
    for number, split in enumerate(("train", "val")):
        records: dict = {"images": [], "annotations": [], "categories": []}
        truth[split] = {}
        for k in range(2):
            name, image = f"00000{number}{k}.jpg", make_image(k)
            save(root / f"{split}2017" / name, image)
            record = {"id": 10 * number + k, "file_name": name, "height": 12, "width": 17}
            records["images"].append(record)
            records["annotations"] += annotate(record, split)
            truth[split][name] = image, [quarters(ids=(-1, 1, 2, 3))]
        path = root / "annotations" / f"{prefix}_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(records))
    return truth


def coco_instances(root):
    def annotate(record, split):
        ids = quarters(ids=(0, 1, 2, 3))
        return [
            {
                "id": 100 * record["id"] + k,
                "image_id": record["id"],
                "segmentation": runs(ids == k),
                "iscrowd": 0,
                "category_id": 1,
            }
            for k in (1, 2, 3)
        ]

    return coco(root, "instances", annotate)


def coco_panoptic(root):
    def annotate(record, split):
        ids = quarters(ids=(0, 1, 2, 3))
        name = record["file_name"].replace(".jpg", ".png")
        path = root / "annotations" / f"panoptic_{split}2017" / name
        save(path, np.stack([ids % 256, ids // 256, ids * 0], -1).astype(np.uint8))
        segments = [{"id": k, "category_id": 1, "iscrowd": 0} for k in (1, 2, 3)]
        return [{"image_id": record["id"], "file_name": name, "segments_info": segments}]

    return coco(root, "panoptic", annotate)


LAYOUTS = {
    "folder": folder,
    "masks": masks,
    "coco_panoptic": coco_panoptic,
    "coco_instances": coco_instances,
    "bsds500": bsds500,
    "ade20k": ade20k,
    "cityscapes": cityscapes,
    "voc": voc,
    "tfds:pets": tfds,
}
