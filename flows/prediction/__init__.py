"""What answers new records with a bundle, and the new files of a folder one by one."""
