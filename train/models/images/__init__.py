"""Networks for pictures: classifiers, and a generator of digits."""
