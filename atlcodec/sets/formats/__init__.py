"""The forms in which data sets are distributed, a family of files each: IDX, CIFAR-10, NumPy's files, CSV of pixels,
Parquet with images. Each reader has `find(path) -> parts.Found | None`; `sets.finding` asks them in turn."""
