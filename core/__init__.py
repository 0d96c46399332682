"""What every package needs: settings, database, ids, errors, who acts, units of work, inbox, bus, audit."""
