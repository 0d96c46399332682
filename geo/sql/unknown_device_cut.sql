-- Only the newest stay, or a stranger with many names would fill the disk.
DELETE FROM unknown_device WHERE (protocol, identifier) IN (
  SELECT protocol, identifier FROM unknown_device ORDER BY last_seen DESC OFFSET 1000
)
