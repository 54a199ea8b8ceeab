"""From a bundle to a program of its own: what it is made of, its files in each language, and its way onto a device."""
