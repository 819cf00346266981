//! The configuration as an operator meets it: files, variables, flags, and what is said about them.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::num::NonZeroU32;
use std::time::Duration;

use litemq_domain::{DurationMs, NamePrefix, SubscriptionMode};
use litemq_server::config::{Flags, Loaded, LogFormat, Problems, Sources, load};

fn with_file(text: &str) -> Sources {
    Sources { file: Some(("litemq.toml".to_owned(), text.to_owned())), ..Sources::default() }
}

fn problems(text: &str) -> String {
    load(&with_file(text)).unwrap_err().to_string()
}

fn loaded(text: &str) -> Loaded {
    load(&with_file(text)).unwrap()
}

#[test]
fn nothing_said_listens_on_loopback_and_keeps_its_data_here() {
    let config = load(&Sources::default()).unwrap().config;
    assert_eq!(config.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.http.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data.to_str(), Some("./litemq-data"));
    assert_eq!(config.shards, 2);
    assert_eq!(config.storage.segment_size_bytes, 128 << 20);
    assert_eq!(config.storage.retention, Duration::from_secs(72 * 3600));
    assert!(config.tls.is_none());
    assert!(config.notices().is_empty());
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let text = problems(
        r#"
colour = "blue"
shards = 65
listen = 8081
retention = "72h"
[storage]
segment_size = "128MB"
retention = "10s"
[log]
level = "loud"
[tls]
cert = "server.pem"
[wrong]
key = 1
[[topics]]
name = "chat/1"
ttl = "31d"
[[groups]]
name = "bots"
client_quota = 0
quota = 5
pattern = "session-"
mode = "owned"
consume_rate = 0
backoff = "soon"
[[groups]]
name = "bots"
bind = "chat"
[[groups]]
name = "bots"
bind = "chat"
"#,
    );
    let expected = [
        "litemq.toml:2: colour: is unknown",
        "litemq.toml:3: shards: is '65'; give a number from 1 to 64",
        "litemq.toml:4: listen: must be a string, not of type integer",
        "litemq.toml:5: retention: is unknown; did you mean storage.retention?",
        "litemq.toml:7: storage.segment_size: '128MB' is no size; write for example 64KiB, 128MiB, \
         1GiB",
        "litemq.toml:8: storage.retention: is 10s; give 1m to",
        "litemq.toml:10: log.level: 'loud' is no log level",
        "litemq.toml:12: tls.key: is missing beside tls.cert",
        "litemq.toml:13: wrong: is unknown",
        "litemq.toml:16: topics.name: topic 'chat/1' contains '/'",
        "litemq.toml:17: topics.ttl: the time to live is 744h; give 1m to 720h, or never",
        "litemq.toml:18: groups.bind: is missing",
        "litemq.toml:20: groups.client_quota: '0' is no quota",
        "litemq.toml:21: groups.quota: is unknown; known are backoff, bind, client_quota",
        "litemq.toml:22: groups.pattern: 'session-' is no pattern",
        "litemq.toml:23: groups.mode: 'owned' is no mode; give shared, exclusive or wildcard",
        "litemq.toml:24: groups.consume_rate: '0' is no limit",
        "litemq.toml:25: groups.backoff: 'soon' is no back-off",
        "litemq.toml:29: groups.name: 'bots' is declared twice",
    ];
    let lines: Vec<_> = text.lines().skip(1).map(str::trim_start).collect();
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{expected}\nis expected, not\n{line}");
    }
    assert!(text.starts_with("the configuration has 19 problems\n"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let text = problems("shards = 2\nlisten = \n");
    assert!(text.contains("litemq.toml:2: "), "{text}");
}

#[test]
fn problems_of_file_variables_and_flags_are_told_together() {
    let sources = Sources {
        variables: vec![("LITEMQ_SHARDS".to_owned(), "many".to_owned())],
        flags: Flags { listen: Some("8081".to_owned()), ..Flags::default() },
        ..with_file("shards = 0")
    };
    let Problems(problems) = load(&sources).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.place.to_string()).collect();
    assert_eq!(places, ["litemq.toml:1", "LITEMQ_SHARDS", "--listen"]);
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let sources = Sources {
        variables: vec![
            ("LITEMQ_LISTEN".to_owned(), "127.0.0.1:2".to_owned()),
            ("LITEMQ_HTTP".to_owned(), "127.0.0.1:2".to_owned()),
            ("LITEMQ_STORAGE_RETENTION".to_owned(), "2h".to_owned()),
            ("LITEMQ_PORT".to_owned(), "tcp://10.0.0.1:8081".to_owned()),
            ("LITEMQ_SERVER".to_owned(), "http://127.0.0.1:1".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ],
        flags: Flags { listen: Some("127.0.0.1:3".to_owned()), ..Flags::default() },
        ..with_file("listen = '127.0.0.1:1'\nhttp = '127.0.0.1:1'\nshards = 1")
    };
    let loaded = load(&sources).unwrap();
    let config = &loaded.config;
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.http.port(), 2);
    assert_eq!(config.storage.retention, Duration::from_secs(7200));
    assert_eq!(config.shards, 1);
    assert_eq!(config.log.format, LogFormat::Text);
    let origin = |key| loaded.origins.get(key).map(ToString::to_string);
    assert_eq!(origin("listen").as_deref(), Some("--listen"));
    assert_eq!(origin("http").as_deref(), Some("LITEMQ_HTTP"));
    assert_eq!(origin("shards").as_deref(), Some("litemq.toml:3"));
    assert_eq!(origin("data"), None);
    assert_eq!(loaded.unknown_variables, ["LITEMQ_PORT"]);
}

#[test]
fn what_is_printed_gives_the_same_configuration_again() {
    let first = loaded(
        r#"
data = "/var/lib/lite mq \"x\""
listen = "[::]:9081"
http_hosts = ["litemq.internal", "ADMIN"]
advertise = "[2001:db8::1]:8081"
shards = 0x10
[log]
format = "json"
level = "info,litemq_server=debug"
[tls]
cert = "a.pem"
key = "b.pem"
[storage]
segment_size = "24MiB"
min_sync_interval = "2ms"
[limits]
connections_max = 7
[shutdown]
grace = "1m 30s"
[[topics]]
name = "chat"
type = "lite"
ttl = "30m"
[[topics]]
name = "jobs"
ttl = "never"
[[topics]]
name = "plain"
counts_reads = true
keep_undelivered = false
keep_subscribed = true
lite_topic_quota = "unlimited"
send_rate = 200
[[groups]]
name = "bots"
bind = "chat"
ordered = false
client_quota = "unlimited"
max_attempts = 3
mode = "exclusive"
reset_on_takeover = true
consume_rate = 200
backoff = "1s, 5s"
[[groups]]
name = "more"
bind = "chat"
pattern = "session-*"
client_quota = -1
consume_rate = "unlimited"
reset_on_unsubscribe = false
simple_suspend = true
"#,
    );
    let config = &first.config;
    assert_eq!(config.shards, 16);
    assert_eq!(config.http_hosts, ["litemq.internal", "admin"]);
    assert_eq!(config.advertise.as_ref().unwrap().to_string(), "[2001:db8::1]:8081");
    assert_eq!(config.topics[0].options.ttl, Some(Some(DurationMs::from_secs(1800))));
    assert_eq!(config.topics[1].options.ttl, Some(None));
    assert_eq!(config.topics[2].options.ttl, None);
    let [bots, more] = &config.groups[..] else { panic!("two groups") };
    assert_eq!(bots.options.mode, Some(SubscriptionMode::Exclusive));
    assert_eq!(bots.options.consume_rate, Some(NonZeroU32::new(200)));
    let prefix = NamePrefix::new("session-").unwrap();
    assert_eq!(more.options.mode, Some(SubscriptionMode::Wildcard(prefix)));
    assert_eq!(more.options.client_quota, Some(None));
    assert_eq!(more.options.simple_suspend, Some(true));

    let printed = first.to_toml().unwrap();
    let mut again = loaded(&printed).config;
    for (topic, original) in again.topics.iter_mut().zip(&config.topics) {
        topic.line = original.line;
    }
    for (group, original) in again.groups.iter_mut().zip(&config.groups) {
        group.line = original.line;
    }
    assert_eq!(&again, config, "{printed}");
    assert!(printed.contains("segment_size = \"24MiB\" # litemq.toml:14"), "{printed}");
    assert!(printed.contains("retention = \"72h\" # default"), "{printed}");
}

#[test]
fn the_printed_defaults_are_the_defaults() {
    let defaults = load(&Sources::default()).unwrap();
    let printed = defaults.to_toml().unwrap();
    assert!(printed.contains("# advertise is not set\n"), "{printed}");
    assert_eq!(loaded(&printed).config, defaults.config);
}

#[test]
fn an_address_open_to_the_network_needs_credentials_or_a_word_and_is_worth_a_notice() {
    let open = "listen = '0.0.0.0:8081'\n";
    let config = loaded(open).config;
    let refused = config.check_exposure().unwrap_err();
    assert!(refused.contains("gRPC door") && refused.contains("0.0.0.0:8081"), "{refused}");
    for text in ["http = '[::]:8080'", "http = '10.0.0.1:8080'", "listen = '192.0.2.1:8081'"] {
        assert!(loaded(text).config.check_exposure().is_err(), "{text}");
    }
    for text in
        ["", "listen = '127.9.9.9:1'", "http = '[::1]:1'", "listen = '[::ffff:127.0.0.1]:1'"]
    {
        assert!(loaded(text).config.check_exposure().is_ok(), "{text}");
    }

    let word = format!("{open}[access]\nallow_anonymous_beyond_loopback = true");
    let config = loaded(&word).config;
    assert!(config.check_exposure().is_ok());
    assert!(config.notices()[0].contains("asks nobody for credentials"), "{:?}", config.notices());
    assert!(config.notices()[1].contains("advertise"), "{:?}", config.notices());
    let flags = Flags { allow_anonymous_beyond_loopback: true, ..Flags::default() };
    let flagged = load(&Sources { flags, ..with_file(open) }).unwrap();
    assert!(flagged.config.check_exposure().is_ok());
    let origin = flagged.origins.get("access.allow_anonymous_beyond_loopback").unwrap();
    assert_eq!(origin.to_string(), "--allow-anonymous-beyond-loopback");

    let guarded = loaded(&format!("{open}http = '0.0.0.0:8080'\n[access]\nenabled = true")).config;
    assert!(guarded.check_exposure().is_ok());
    assert!(guarded.notices()[0].contains("HTTP door on 0.0.0.0:8080 takes secrets"));
}

#[test]
fn the_secret_of_the_super_user_is_read_from_the_environment_and_never_shown() {
    let sources = Sources {
        variables: vec![("LITEMQ_ACCESS_SUPER_SECRET".to_owned(), "correct-horse".to_owned())],
        ..with_file("[access]\nenabled = true\nsuper_user = 'root'\nsignature_window = '26h'")
    };
    let loaded = load(&sources).unwrap();
    let super_user = loaded.config.access.super_user.as_ref().unwrap();
    assert_eq!(super_user.name.as_str(), "root");
    assert_eq!(super_user.secret.expose(), "correct-horse");
    let printed = loaded.to_toml().unwrap();
    assert!(printed.contains("# super_secret is set and not shown\n"), "{printed}");
    assert!(printed.contains("enabled = true # litemq.toml:2\n"), "{printed}");
    assert!(!printed.contains("horse") && !format!("{loaded:?}").contains("horse"));

    let wrong = problems("[access]\nsuper_user = 'root'\nsuper_secret = 'a horse'\nenabled = 1");
    assert!(wrong.contains("litemq.toml:3: access.super_secret: the secret must have"), "{wrong}");
    assert!(wrong.contains("litemq.toml:4: access.enabled: must be true or false"), "{wrong}");
    assert!(!wrong.contains("horse"), "{wrong}");
    let half = problems("[access]\nsuper_user = 'root'");
    assert!(half.contains("litemq.toml:2: access.super_secret: is missing beside"), "{half}");
    assert!(problems("[access]\nsignature_window = '25h'").contains("26h"));
}

#[test]
fn the_trace_has_a_size_or_is_off() {
    for (text, bytes) in
        [("64MiB", Some(64 << 20)), ("0", Some(0)), ("0B", Some(0)), ("1KiB", None)]
    {
        let sources = with_file(&format!("[limits]\ntrace_bytes_max = '{text}'"));
        let loaded = load(&sources).map(|loaded| loaded.config.limits.trace_bytes_max);
        assert_eq!(loaded.ok(), bytes, "{text}");
    }
}

#[test]
fn hosts_and_ports_to_advertise_are_checked() {
    for good in ["broker.example.org:8081", "10.0.0.1:80", "[::1]:9"] {
        let config = loaded(&format!("advertise = '{good}'")).config;
        assert_eq!(config.advertise.unwrap().to_string(), good);
    }
    for bad in ["broker", ":8081", "broker:0", "broker:x", "::1:80", "a b:80", "[x]:80"] {
        assert!(problems(&format!("advertise = '{bad}'")).contains("HOST:PORT"), "{bad}");
    }
}
