"""The ground that all layers stand on: files, settings, registries, progress, optional packages, JSON documents."""
