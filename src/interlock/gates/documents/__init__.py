"""What artifacts are made of: JSON that follows a schema, Markdown with its headings."""
