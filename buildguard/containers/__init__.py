"""Containers: reaching a container engine, the images it has, and what is run and read in them."""
