"""Who may call: API keys, their file, wrong keys, origins."""
