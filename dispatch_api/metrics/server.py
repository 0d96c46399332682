"""What a server process shows of itself beside its requests and commits: its sockets and its connections."""

from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.pool import QueuePool

from dispatch_api.state import State


def families(state: State) -> Iterator[Metric]:
    """The open sockets and what they are owed; the connections to the database that are in use."""
    sockets = GaugeMetricFamily("outrider_sockets", "Open sockets.", labels=["kind"])
    owed = GaugeMetricFamily("outrider_outbound_messages", "Messages that wait for slow sockets.", labels=["kind"])
    most = GaugeMetricFamily("outrider_outbound_messages_most", "Those of the slowest socket.", labels=["kind"])
    for kind, waiting in state.hub.open_sockets().items():
        sockets.add_metric([kind], len(waiting))
        owed.add_metric([kind], sum(waiting))
        most.add_metric([kind], max(waiting, default=0))
    yield from (sockets, owed, most)
    pool = state.engine.pool
    assert isinstance(pool, QueuePool)
    yield GaugeMetricFamily("outrider_connections_in_use", "Database connections in use.", pool.checkedout())
    yield GaugeMetricFamily("outrider_connections_most", "Database connections there may be.", pool.size())
    yield _info()


def _info() -> Metric:
    info = GaugeMetricFamily("outrider_info", "The version that runs.", labels=["version"])
    info.add_metric([version("outrider")], 1)
    return info
