"""A reference client of the officers' contract: what an app does, without a screen. `python -m mobile_contract.client`.

Everything that is done goes into an outbox on the disk first and is sent in order with its id, records before files;
the inbox is stored before it is acknowledged, and resumed by its `seq`. So it may be killed at any moment.
"""

from mobile_contract.client.officer import Officer as Officer
from mobile_contract.client.store import Store as Store
