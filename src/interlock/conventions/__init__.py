"""What is known of other tools: their files, command lines, languages and secrets. Pure."""
