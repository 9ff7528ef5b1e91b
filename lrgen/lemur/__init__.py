"""LEMUR's and NNGPT's folders: names, layouts, readers and writers."""
