"""What all readers share: folders, encodings, bounds, metadata, reasons for failures."""
