"""Text of others made safe: valid Unicode, printable in a terminal, ids and addresses that may be shown."""
