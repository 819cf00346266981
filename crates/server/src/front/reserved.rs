//! Keys that RocketMQ keeps its own properties under; a user property may not have one.

/// Sorted.
const RESERVED: [&str; 47] = [
    "1ST_POP_TIME",
    "ARRIVE_TIME",
    "BORN_TIMESTAMP",
    "BUYER_ID",
    "CLUSTER",
    "CONSUME_START_TIME",
    "CORRECTION_FLAG",
    "CORRELATION_ID",
    "DELAY",
    "DUP_INFO",
    "EXTEND_UNIQ_INFO",
    "INNER_MULTI_DISPATCH",
    "INNER_MULTI_QUEUE_OFFSET",
    "INSTANCE_ID",
    "KEYS",
    "MAX_OFFSET",
    "MAX_RECONSUME_TIMES",
    "MIN_OFFSET",
    "MQ2_FLAG",
    "MSG_REGION",
    "MSG_TYPE",
    "ORIGIN_MESSAGE_ID",
    "PGROUP",
    "POP_CK",
    "POP_CK_OFFSET",
    "PUSH_REPLY_TIME",
    "REAL_QID",
    "REAL_TOPIC",
    "RECONSUME_TIME",
    "REPLY_TO_CLIENT",
    "RETRY_TOPIC",
    "TAGS",
    "TIMER_DELAY_LEVEL",
    "TIMER_DELAY_SEC",
    "TIMER_DELIVER_MS",
    "TIMER_DEL_UNIQKEY",
    "TIMER_DEQUEUE_MS",
    "TIMER_ENQUEUE_MS",
    "TIMER_OUT_MS",
    "TIMER_ROLL_TIMES",
    "TRACE_ON",
    "TRANSFER_FLAG",
    "TRAN_MSG",
    "TRAN_PREPARED_QUEUE_OFFSET",
    "TTL",
    "UNIQ_KEY",
    "WAIT",
];

/// All keys that begin like this are the system's too.
const RESERVED_PREFIXES: [&str; 4] =
    ["__SHARDINGKEY", "__BORNHOST", "__transactionId__", "__RMQ.TRANSIENT."];

/// Whether a key is the system's.
pub(super) fn is_reserved(key: &str) -> bool {
    RESERVED.binary_search(&key).is_ok()
        || (key.starts_with("__") && RESERVED_PREFIXES.iter().any(|own| key.starts_with(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_key_is_found() {
        assert!(RESERVED.is_sorted());
        for key in RESERVED {
            assert!(is_reserved(key), "{key}");
        }
        assert!(is_reserved("__RMQ.TRANSIENT.TOPIC_SYS_FLAG"));
    }

    #[test]
    fn ordinary_keys_are_free() {
        for key in ["", "tenant", "keys", "TAG", "__internal", "ttl"] {
            assert!(!is_reserved(key), "{key}");
        }
    }
}
