"""A fleet: devices on the desks of several hosts, reached through the scheduler of Dask."""
