-- Only the newest stay, or a stranger with many names would fill the disk; those an administrator ignores are few.
DELETE FROM unknown_device WHERE (protocol, identifier) IN (
  SELECT protocol, identifier FROM unknown_device WHERE ignored_at IS NULL ORDER BY last_seen DESC OFFSET 1000
)
