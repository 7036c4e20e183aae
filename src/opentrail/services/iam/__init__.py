"""Identity and Access Management: users, roles, access keys and inline policies."""
