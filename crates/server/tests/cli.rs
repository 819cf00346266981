//! The real binary against a served HTTP door.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

mod http_support;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use http_support::{SECRET, Served};

/// What a command line did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn litemq(arguments: &[&str]) -> Ran {
    with_input(arguments, b"")
}

fn with_input(arguments: &[&str], input: &[u8]) -> Ran {
    with_environment(arguments, &[], input)
}

fn with_environment(arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_litemq"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LITEMQ_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().copied());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

impl Ran {
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        assert_eq!(self.err, "");
        self.out
    }

    /// It failed with one line, and printed nothing else.
    fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.out, "");
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err
    }
}

/// Command lines against one server.
struct Tool {
    server: String,
    _served: Served,
}

impl Tool {
    fn new() -> Self {
        let served = Served::start();
        Self { server: format!("http://{}", served.address), _served: served }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        litemq(&[&["--server", self.server.as_str()], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat()).done()).unwrap()
    }
}

#[test]
fn topics_are_administered_with_tables_and_json() {
    let tool = Tool::new();
    let created = tool.run(&["topic", "create", "chat", "--type", "lite", "--ttl", "30m"]).done();
    assert!(created.starts_with("name         chat\ntype         lite\nttl          30m\n"));
    assert!(created.contains("send rate    unlimited\n"), "{created}");
    tool.run(&["topic", "create", "a"]).done();
    let table = tool.run(&["topic", "list"]).done();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("NAME  TYPE  TTL    LITE TOPICS  GROUPS  CREATED"), "{table}");
    assert!(lines[1].starts_with("a     lite  never  0"), "{table}");
    assert!(lines[2].starts_with("chat  lite  30m    0"), "{table}");
    assert_eq!(tool.json(&["topic", "update", "chat", "--ttl", "never"])["ttl"], "never");
    assert_eq!(tool.json(&["topic", "update", "chat", "--ttl", "-1"])["ttl"], "never");
    let described = tool.json(&["topic", "describe", "chat"]);
    assert_eq!((&described["ttl"], &described["send_rate"]), (&json!("never"), &json!(-1)));
    let change = ["--keep-undelivered", "true", "--lite-topic-quota", "5", "--send-rate", "7"];
    let changed = tool.json(&[&["topic", "update", "chat"][..], &change].concat());
    let told = ["ttl", "keep_undelivered", "counts_reads", "lite_topic_quota", "send_rate"];
    let told = told.map(|key| changed[key].clone());
    assert_eq!(told, [json!("never"), json!(true), json!(false), json!(5), json!(7)]);
    let text = tool.run(&["topic", "describe", "chat"]).done();
    assert!(text.contains("kept while   undelivered\n"), "{text}");
    assert!(text.contains("send rate    7/s\n"), "{text}");
    let nothing = tool.run(&["topic", "update", "chat"]).failed(2);
    assert!(nothing.contains("nothing to change"), "{nothing}");
    assert_eq!(tool.run(&["topic", "delete", "a"]).done(), "topic a deleted\n");
    assert_eq!(tool.json(&["topic", "delete", "chat"]), json!({"deleted": "chat"}));
    assert_eq!(tool.json(&["topic", "list"]), json!({"topics": []}));
}

#[test]
fn groups_are_administered_and_a_quota_of_minus_one_is_unlimited() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat"]).done();
    let create = ["group", "create", "bots", "--bind", "chat", "--ordered", "false"];
    let created = tool.json(&[&create[..], &["--client-quota", "-1"]].concat());
    assert_eq!(created["client_quota"], -1);
    assert_eq!(created["ordered"], false);
    let described = tool.run(&["group", "describe", "bots"]).done();
    assert!(described.contains("client quota          unlimited\n"), "{described}");
    let updated = tool.json(&["group", "update", "bots", "--client-quota", "7"]);
    assert_eq!(updated["client_quota"], 7);
    let updated = tool.json(&["group", "update", "bots", "--client-quota", "unlimited"]);
    assert_eq!(updated["client_quota"], -1);
    let nothing = tool.run(&["group", "update", "bots"]).failed(2);
    assert!(nothing.contains("nothing to change"), "{nothing}");
    let table = tool.run(&["group", "list"]).done();
    assert!(table.contains("bots  chat   false    shared  unlimited"), "{table}");
    assert_eq!(tool.run(&["group", "delete", "bots"]).done(), "group bots deleted\n");
}

#[test]
fn groups_have_modes_and_are_moved_and_clients_are_unsubscribed() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat"]).done();
    let create = ["group", "create", "owners", "--bind", "chat", "--mode", "exclusive"];
    let options = ["--consume-rate", "200", "--backoff", "1s,5s", "--reset-on-takeover", "true"];
    let created = tool.json(&[&create[..], &options].concat());
    assert_eq!(created["mode"], "EXCLUSIVE");
    assert_eq!(created["consume_rate"], 200);
    let update = ["group", "update", "owners", "--consume-rate", "unlimited"];
    let updated = tool.json(&[&update[..], &["--simple-suspend", "true"]].concat());
    assert_eq!(updated["consume_rate"], -1);
    assert_eq!(updated["simple_suspend"], true);
    let described = tool.run(&["group", "describe", "owners"]).done();
    for line in ["mode                  exclusive", "back-off              1s, 5s"] {
        assert!(described.lines().any(|found| found == line), "{described}");
    }
    let refused = tool.run(&["group", "update", "owners", "--backoff", "soon"]).failed(1);
    assert!(refused.contains("no back-off"), "{refused}");

    for body in ["one", "two"] {
        tool.run(&["send", "chat", "--lite", "s1", "--body", body]).done();
    }
    let reset = ["group", "reset", "owners", "--lite", "s1"];
    let moved = tool.run(&[&reset[..], &["--to", "newest"]].concat()).done();
    assert_eq!(moved, "1 positions moved\n");
    for place in [["--offset", "1"], ["--tail", "1"], ["--time", "2026-01-01T00:00:00Z"]] {
        assert_eq!(tool.json(&[&reset[..], &place].concat()), json!({"moved": 1}), "{place:?}");
    }
    for wrong in [&["--to", "oldest", "--tail", "1"][..], &[]] {
        assert_eq!(tool.run(&[&reset[..], wrong].concat()).code, 2, "one place is given");
    }
    let all = tool.json(&["group", "reset", "owners", "--to", "oldest"]);
    assert_eq!(all, json!({"moved": 1}));
    let told = tool.json(&["group", "stats", "owners", "--top", "5", "--by", "age"]);
    assert_eq!((&told["lag"], &told["top"][0]["name"]), (&json!(2), &json!("s1")));
    let table = tool.run(&["group", "stats", "owners"]).done();
    assert!(table.contains("LITE TOPIC") && table.contains("lag          2"), "{table}");
    let seen = tool.run(&["group", "client", "owners", "host@1"]).done();
    assert!(seen.contains("connected    false"), "{seen}");
    let listed = tool.run(&["group", "clients", "owners", "--limit", "5"]).done();
    assert!(listed.starts_with("CLIENT  CONNECTED  LITE TOPICS  LANGUAGE"), "{listed}");
    assert_eq!(tool.json(&["group", "clients", "owners"]), json!({"clients": []}));
    let lite = tool.run(&["lite", "describe", "chat", "s1"]).done();
    assert!(lite.contains("OLDEST STORED"), "{lite}");
    let taken = tool.run(&["group", "unsubscribe", "owners", "host@1"]).done();
    assert_eq!(taken, "0 lite topics taken\n");
}

#[test]
fn messages_are_sent_and_looked_at() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat", "--ttl", "1h"]).done();
    let send = ["send", "chat", "--lite", "s1", "--key", "k1", "--key", "k2", "--tag", "t"];
    let sent = tool.run(&[&send[..], &["--body", "hello\u{1b}[2Jworld"]].concat()).done();
    assert!(sent.starts_with("sent 01") && sent.ends_with(" at offset 0\n"), "{sent}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(tool.json(&["send", "chat", "--lite", "s1", "--body-file", file])["offset"], 1);
    let from_input = ["--server", &tool.server, "send", "chat", "--lite", "s1", "--body-file", "-"];
    with_input(&from_input, b"from input").done();

    let table = tool.run(&["peek", "chat", "--lite", "s1"]).done();
    assert!(table.contains("k1, k2  hello\\u{1b}[2Jworld\n"), "{table}");
    assert!(table.contains("base64://4A\n"), "{table}");
    let page = tool.json(&["peek", "chat", "--lite", "s1", "--from", "2", "--limit", "1"]);
    assert_eq!(page["messages"][0]["body"], "from input");
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn a_message_is_traced() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat"]).done();
    tool.run(&["send", "chat", "--lite", "s1", "--key", "k1", "--body", "x"]).done();
    let table = tool.run(&["trace", "--topic", "chat", "--lite-topic", "s1", "--key", "k1"]).done();
    for word in ["lite topic", "message id", "EVENT", "STORED", "everything is kept since "] {
        assert!(table.contains(word), "{word} in {table}");
    }
    let by_key = tool.json(&["trace", "--topic", "chat", "--lite-topic", "s1", "--key", "k1"]);
    let id = by_key["messages"][0]["message"]["message_id"].as_str().unwrap();
    let by_id = tool.json(&["trace", "--topic", "chat", "--id", id]);
    assert_eq!(by_id["messages"], by_key["messages"]);
    tool.run(&["lite", "delete", "chat", "s1"]).done();
    let table = tool.run(&["trace", "--topic", "chat", "--id", id]).done();
    assert!(table.contains("(removed)") && table.contains("LITE_TOPIC_REMOVED"), "{table}");
    let none = tool.run(&["trace", "--topic", "chat", "--id", "other"]).done();
    assert!(none.starts_with("no such message is known\n"), "{none}");
}

#[test]
fn messages_are_exported_a_line_each_and_found_by_key_id_and_time() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat"]).done();
    for n in 0..25 {
        let (key, body) = (format!("k{}", n % 5), n.to_string());
        tool.run(&["send", "chat", "--lite", "s1", "--key", &key, "--body", &body]).done();
    }
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let out = tool.run(&[&["lite", "messages", "chat", "s1", "--json"], arguments].concat());
        out.done().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let bodies = |arguments: &[&str]| -> Vec<String> {
        let of = |message: &Value| message["body"].as_str().unwrap().to_owned();
        lines(arguments).iter().map(of).collect()
    };
    let all: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&["--all"]), all);
    assert_eq!(bodies(&["--newest", "--limit", "2"]), ["24", "23"]);
    assert_eq!(bodies(&["--key", "k3", "--all", "--newest"]), ["23", "18", "13", "8", "3"]);
    assert_eq!(bodies(&["--from", "3", "--before", "5"]), ["3", "4"]);
    let tenth = &lines(&["--from", "10", "--limit", "1"])[0];
    assert_eq!(bodies(&["--id", tenth["message_id"].as_str().unwrap()]), ["10"]);
    let since = bodies(&["--from-time", tenth["stored_at"].as_str().unwrap(), "--all"]);
    assert!(since.contains(&"10".to_owned()) && since.contains(&"24".to_owned()), "{since:?}");
    assert_eq!(bodies(&["--to-time", "2020-01-01T00:00:00Z"]), [""; 0]);
    let table = tool.run(&["lite", "messages", "chat", "s1", "--newest", "--limit", "1"]).done();
    assert!(table.starts_with("OFFSET  STORED"), "{table}");
    assert!(table.ends_with("more: --before 24\n"), "{table}");
    let wrong = tool.run(&["lite", "messages", "chat", "s1", "--to-time", "noon"]).failed(1);
    assert!(wrong.contains("to_time: 'noon' is no moment"), "{wrong}");
}

#[test]
fn dead_letters_are_listed_shown_sent_again_and_deleted() {
    let served = Served::with_letters();
    let tool = Tool { server: format!("http://{}", served.address), _served: served };
    let table = tool.run(&["dlq", "list", "bots"]).done();
    assert!(table.contains("\ns1          3        0       0      "), "{table}");
    let table = tool.run(&["dlq", "show", "bots", "s1", "--limit", "1"]).done();
    assert!(table.contains("chat at 0  1         attempts used up  no      m0\n"), "{table}");
    let one = ["dlq", "resend", "bots", "s1", "--offset", "1", "--offset", "1"];
    assert_eq!(tool.run(&one).done(), "sent 1 again; 0 were sent again before\n");
    assert_eq!(tool.run(&one).done(), "sent 0 again; 1 were sent again before\n");
    let oldest = tool.json(&["dlq", "resend", "bots", "s1", "--oldest", "1"]);
    assert_eq!(oldest["resent"], json!([{"offset": 0, "sent_as": 4}]));
    let all = tool.run(&["dlq", "resend", "bots", "s1", "--all"]).done();
    assert_eq!(all, "sent 1 again; 0 were sent again before\n");
    let lines = tool.run(&["dlq", "show", "bots", "s1", "--all", "--json"]).done();
    assert_eq!(lines.matches("\"resent\":true").count(), 3, "{lines}");
    let again = tool.json(&["lite", "messages", "chat", "s1", "--from", "3", "--limit", "1"]);
    assert_eq!(again["resent_from"], json!({"topic": "%DLQ%bots", "offset": 1, "times": 1}));
    let deleted = tool.run(&["dlq", "delete", "bots", "s1"]).done();
    assert_eq!(deleted, "dead letters of lite topic s1 deleted\n");
    let none = tool.run(&["dlq", "resend", "bots", "s1", "--all"]).failed(1);
    assert!(none.starts_with("error: LITE_TOPIC_NOT_FOUND: "), "{none}");
    assert_eq!(tool.run(&["dlq", "resend", "bots", "s1"]).code, 2, "it must be said which");
}

#[test]
fn lite_topics_are_listed_by_pages_described_and_deleted() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat", "--ttl", "1h"]).done();
    for name in ["s1", "s2", "s3", "x"] {
        tool.run(&["send", "chat", "--lite", name, "--body", "hi"]).done();
    }
    let page = tool.run(&["lite", "list", "chat", "--prefix", "s", "--limit", "2"]).done();
    assert!(page.ends_with("more: --after s2\n"), "{page}");
    let list = ["lite", "list", "chat", "--prefix", "s", "--limit", "2", "--after", "s2"];
    let rest = tool.run(&list).done();
    assert!(rest.contains("\ns3 ") && !rest.contains("more"), "{rest}");
    let described = tool.run(&["lite", "describe", "chat", "s1"]).done();
    assert!(described.contains("next offset   1\n"), "{described}");
    assert_eq!(tool.run(&["lite", "delete", "chat", "s1"]).done(), "lite topic s1 deleted\n");
    let gone = tool.run(&["lite", "describe", "chat", "s1"]).failed(1);
    assert!(gone.starts_with("error: LITE_TOPIC_NOT_FOUND: "), "{gone}");
}

#[test]
fn a_refusal_is_one_line_with_its_code() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat"]).done();
    let error = tool.run(&["send", "chat", "--lite", "a/b", "--body", "x"]).failed(1);
    assert!(error.starts_with("error: LITE_TOPIC_ILLEGAL: "), "{error}");
    let error = tool.run(&["topic", "describe", "../x"]).failed(1);
    assert!(error.starts_with("error: TOPIC_"), "{error}");
    let error = tool.run(&["topic", "create", "t", "--ttl", "soon", "--json"]).failed(1);
    assert!(error.starts_with("error: BAD_REQUEST: ttl: 'soon'"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_one_line_too() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let error = litemq(&["--server", &format!("http://{address}"), "topic", "list"]).failed(1);
    assert!(error.contains(&format!("cannot reach http://{address}")), "{error}");
    assert!(error.contains("refused"), "{error}");
    let error = litemq(&["topic", "list", "--server", "broker:8080"]).failed(2);
    assert!(error.contains("http://HOST:PORT"), "{error}");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_help_with_0() {
    assert_eq!(litemq(&["topic", "creat"]).code, 2);
    assert_eq!(litemq(&["send", "chat", "--lite", "s"]).code, 2);
    assert_eq!(litemq(&["group", "create", "g", "--bind", "t", "--client-quota", "0"]).code, 2);
    assert!(litemq(&["--help"]).done().contains("litemq"));
    assert!(litemq(&["--version"]).done().starts_with("litemq "));
}

#[test]
fn the_configuration_in_effect_is_printed_with_its_origins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("litemq.toml");
    std::fs::write(&file, "shards = 4\n").unwrap();
    let file = file.to_str().unwrap();
    let serve = ["serve", "--config", file, "--listen", "0.0.0.0:1", "--print-config"];
    let printed = litemq(&serve).done();
    assert!(printed.contains("listen = \"0.0.0.0:1\" # --listen\n"), "{printed}");
    assert!(printed.contains(&format!("shards = 4 # {file}:1\n")), "{printed}");
}

#[test]
fn a_file_in_the_working_directory_is_read_when_no_other_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |named: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_litemq"));
        command.current_dir(folder.path()).env_remove("LITEMQ_CONFIG").env_remove("LITEMQ_SHARDS");
        let ran = command.args(["serve", "--print-config"]).args(named).output().unwrap();
        let errors = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.success(), errors.is_empty(), "{errors}");
        String::from_utf8(ran.stdout).unwrap() + &errors
    };
    assert!(printed(&[]).contains("shards = 2 # default\n"));
    std::fs::write(folder.path().join("litemq.toml"), "shards = 4\n").unwrap();
    std::fs::write(folder.path().join("other.toml"), "shards = 8\n").unwrap();
    assert!(printed(&[]).contains("shards = 4 # litemq.toml:1\n"));
    assert!(printed(&["--config", "other.toml"]).contains("shards = 8 # other.toml:1\n"));
    std::fs::write(folder.path().join("litemq.toml"), "shards = 0\n").unwrap();
    assert!(printed(&[]).contains("litemq.toml:1: shards: is '0'"));
}

#[test]
fn a_wrong_configuration_is_told_in_full_and_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("litemq.toml");
    std::fs::write(&file, "shards = 0\nshard = 1\n").unwrap();
    let ran = litemq(&["serve", "--config", file.to_str().unwrap(), "--http", "x"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: the configuration has 3 problems\n"), "{}", ran.err);
    let missing = litemq(&["serve", "--config", "/nowhere/litemq.toml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("/nowhere/litemq.toml: cannot be read"), "{}", missing.err);
}

#[test]
fn users_and_policies_are_administered_with_a_secret_from_the_environment_or_a_file() {
    let served = Served::start_guarded();
    let server = format!("http://{}", served.address);
    let as_root = [("LITEMQ_USER", "root"), ("LITEMQ_SECRET", SECRET)];
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        with_environment(&[&["--server", &server], arguments].concat(), environment, b"")
    };
    let refused = run(&["user", "list"], &[]).failed(1);
    assert!(refused.starts_with("error: UNAUTHENTICATED: "), "{refused}");
    let without = run(&["user", "list", "--user", "root"], &[]).failed(2);
    assert!(without.contains("LITEMQ_SECRET") && without.contains("--secret-file"), "{without}");

    let created = run(&["user", "create", "tenant-a"], &as_root).done();
    let secret = created.lines().last().unwrap().strip_prefix("secret    ").unwrap().to_owned();
    assert_eq!(secret.len(), 40, "{created}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "a-secret-of-mine\n").unwrap();
    let file = file.to_str().unwrap();
    let rotate = ["user", "rotate", "tenant-a", "--new-secret-file", file];
    assert!(run(&rotate, &as_root).done().ends_with("secret    a-secret-of-mine\n"));
    let table = run(&["user", "list"], &as_root).done();
    assert!(table.contains("tenant-a  normal  true     0"), "{table}");

    run(&["topic", "create", "chat"], &as_root).done();
    let add = ["policy", "add", "tenant-a", "allow", "publish,subscribe", "lite:chat/a-*"];
    let added = run(&[&add[..], &["--from", "127.0.0.0/8"]].concat(), &as_root).done();
    let row = "0   tenant-a  allow   publish,subscribe  lite:chat/a-*  127.0.0.0/8";
    assert_eq!(added.lines().last(), Some(row));
    run(&["policy", "add", "tenant-a", "deny", "publish", "lite:chat/a-9"], &as_root).done();
    let list = run(&["policy", "list", "tenant-a"], &as_root).done();
    assert!(list.ends_with("1   tenant-a  deny    publish            lite:chat/a-9  anywhere\n"));

    let send = |lite: &str| {
        let send = ["send", "chat", "--lite", lite, "--body", "x", "--user", "tenant-a"];
        run(&[&send[..], &["--secret-file", file]].concat(), &[])
    };
    send("a-1").done();
    for lite in ["a-9", "b-1"] {
        let refused = send(lite).failed(1);
        assert!(refused.starts_with("error: PERMISSION_DENIED: user 'tenant-a' may not publish"));
    }
    let test = |lite: &str| run(&["policy", "test", "tenant-a", "publish", lite], &as_root).done();
    assert!(test("lite:chat/a-9").starts_with("refused: a policy denies it\nID  USER"));
    assert_eq!(test("lite:chat/b-1"), "refused: no policy allows it\n");
    assert_eq!(run(&["policy", "remove", "1"], &as_root).done(), "policy 1 deleted\n");
    send("a-9").done();

    let disabled = run(&["user", "disable", "tenant-a"], &as_root).done();
    assert!(disabled.contains("enabled   false\n"), "{disabled}");
    assert!(send("a-1").failed(1).starts_with("error: UNAUTHENTICATED: "));
    run(&["user", "enable", "tenant-a"], &as_root).done();
    send("a-1").done();
    assert_eq!(run(&["user", "delete", "tenant-a"], &as_root).done(), "user tenant-a deleted\n");
    let none: Value =
        serde_json::from_str(&run(&["policy", "list", "--json"], &as_root).done()).unwrap();
    assert_eq!(none, json!({"policies": []}));
}

#[test]
fn a_door_open_to_the_network_needs_credentials_or_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let serve = ["serve", "--data", data.to_str().unwrap(), "--listen", "0.0.0.0:0"];
    let refused = litemq(&serve).failed(2);
    assert!(refused.contains("access.enabled"), "{refused}");
    assert!(refused.contains("--allow-anonymous-beyond-loopback"), "{refused}");
    assert!(!data.exists(), "nothing was touched");
    let without_super = with_environment(
        &[&serve[..], &["--http", "127.0.0.1:0"]].concat(),
        &[("LITEMQ_ACCESS_ENABLED", "true")],
        b"",
    );
    assert_eq!(without_super.code, 1);
    assert!(without_super.err.contains("there is no super user"), "{}", without_super.err);
}

#[test]
fn lite_topics_are_created_extended_pinned_and_given_their_own_time() {
    let tool = Tool::new();
    tool.run(&["topic", "create", "chat", "--ttl", "30m"]).done();
    let made = tool.run(&["lite", "create", "chat", "a"]).done();
    assert!(made.contains("ttl           30m\n"), "{made}");
    assert_eq!(tool.json(&["lite", "create", "chat", "b", "--ttl", "never"])["own_ttl"], true);
    assert!(tool.json(&["lite", "extend", "chat", "a", "2h"])["extended_until"].is_string());
    assert_eq!(tool.json(&["lite", "pin", "chat", "a"])["pinned"], true);
    let shown = tool.run(&["lite", "describe", "chat", "a"]).done();
    assert!(shown.contains("expires       pinned\n"), "{shown}");
    assert_eq!(tool.json(&["lite", "unpin", "chat", "a"])["pinned"], false);
    assert_eq!(tool.json(&["lite", "ttl", "chat", "a", "1h"])["ttl"], "1h");
    let own = tool.run(&["lite", "describe", "chat", "a"]).done();
    assert!(own.contains("ttl           1h, its own\n"), "{own}");
    assert_eq!(tool.json(&["lite", "ttl", "chat", "a", "parent"])["ttl"], "30m");
    let wrong = tool.run(&["lite", "extend", "chat", "a", "soon"]).failed(1);
    assert!(wrong.contains("BAD_REQUEST"), "{wrong}");
}

#[test]
fn quotas_are_shown_set_and_taken_from_a_profile() {
    let tool = Tool::new();
    let shown = tool.run(&["quota", "show"]).done();
    assert_eq!(shown, "lite topics    0 of unlimited\nsubscriptions  0 of unlimited\n");
    let set = tool.json(&["quota", "set", "--lite-topics", "5", "--subscriptions", "unlimited"]);
    assert_eq!((&set["lite_topics_max"], &set["subscriptions_max"]), (&json!(5), &json!(-1)));
    let nothing = tool.run(&["quota", "set"]).failed(2);
    assert!(nothing.contains("nothing to change"), "{nothing}");
    let table = tool.run(&["quota", "profile", "list"]).done();
    let row = |name: &str| -> Vec<String> {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("NAME"), ["NAME", "MESSAGES/S", "LITE", "TOPICS", "SUBSCRIPTIONS"]);
    let professional = row("professional-p2-10k");
    assert_eq!(professional[1..], ["10000", "600000", "600000"]);
    let applied = tool.json(&["quota", "profile", "apply", "platinum-u2-1m"]);
    assert_eq!(applied["subscriptions_max"], 23_200_000);
    let unknown = tool.run(&["quota", "profile", "apply", "huge"]).failed(1);
    assert!(unknown.contains("list them first"), "{unknown}");
}
