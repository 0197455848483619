"""One module for each family of verbs. Rule: a verb parses, calls the service, renders, and decides nothing."""
