"""The version of lrgen; on the ground floor, so that nothing imports the package's face to learn it."""

__version__ = "0.1.0"
