"""The systems that LiteMQ is measured beside: one file for each, all of one shape (see `peer.py`)."""

from .durable_streams import DurableStreams
from .echo import Echo
from .litemq import LiteMq, LiteMqHttp
from .nats import Nats
from .peer import DURABLE, MEMORY, PROCESS, NotInstalled
from .rocketmq import RocketMq
from .s2_lite import S2Lite
from .valkey import Valkey, ValkeyTuned

ALL = [LiteMq, LiteMqHttp, RocketMq, Nats, Valkey, ValkeyTuned, S2Lite, DurableStreams, Echo]

__all__ = ["ALL", "DURABLE", "MEMORY", "PROCESS", "NotInstalled"]
