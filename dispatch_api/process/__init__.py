"""The processes of one machine: private database, supervised servers, checks, certificates."""
