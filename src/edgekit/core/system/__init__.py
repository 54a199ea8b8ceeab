"""What all layers use: files, processes, settings, registries, progress, optional packages, JSON documents."""
