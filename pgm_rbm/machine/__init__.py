"""What any numerical program needs: threads, streams, progress, limits, files. Nothing here knows what an RBM is."""
