"""One file a modality: LightningDataModules and the streams that feed them."""
