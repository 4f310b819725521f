"""What we add to Lava's process models; nothing else may live here: Lava's model discovery executes a folder's files."""
