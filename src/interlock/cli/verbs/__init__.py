"""One module per verb or family of verbs. Rule: a verb parses, calls the service, renders, and decides nothing."""
