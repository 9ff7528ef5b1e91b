"""Readers and writers of LEMUR's and NNGPT's folders, and the names that lrgen's files have there."""
