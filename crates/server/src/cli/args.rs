//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::units::{parse_limit, parse_quota, quota_number};

const CLIENT_OPTIONS: &str = "Options of every command but serve";

/// LiteMQ: ordered, durable lite topics for RocketMQ 5 clients.
#[derive(Debug, Parser)]
#[command(name = "litemq", version)]
pub(super) struct Cli {
    /// The HTTP door of the server
    #[arg(
        long,
        global = true,
        env = "LITEMQ_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        help_heading = CLIENT_OPTIONS
    )]
    pub(super) server: String,
    /// The user who asks; its secret is in LITEMQ_SECRET or in a file, never among the arguments
    #[arg(long, global = true, env = "LITEMQ_USER", value_name = "NAME", help_heading = CLIENT_OPTIONS)]
    pub(super) user: Option<String>,
    /// A file with the secret of --user
    #[arg(
        long,
        global = true,
        env = "LITEMQ_SECRET_FILE",
        value_name = "FILE",
        help_heading = CLIENT_OPTIONS
    )]
    pub(super) secret_file: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true, help_heading = CLIENT_OPTIONS)]
    pub(super) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server
    Serve(ServeArgs),
    #[command(flatten)]
    Client(ClientCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Topics: parents of lite topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Consumer groups, each bound to one topic
    #[command(subcommand)]
    Group(GroupCommand),
    /// Lite topics below a topic
    #[command(subcommand)]
    Lite(LiteCommand),
    /// How many lite topics and subscriptions there may be
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Send one message to a lite topic
    Send(SendArgs),
    /// Look at messages of a lite topic without consuming them
    Peek(PeekArgs),
    /// What happened to a message: who sent it, each delivery and what came of it
    Trace(TraceArgs),
    /// Users, who sign with an access key and a secret
    #[command(subcommand)]
    User(UserCommand),
    /// Policies: what users may and may not do
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Dead letters of a group
    #[command(subcommand)]
    Dlq(DlqCommand),
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration file [default: ./litemq.toml if it is there]
    #[arg(long, env = "LITEMQ_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The folder that keeps everything [default: ./litemq-data]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<String>,
    /// Where SDKs connect [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Where administration and metrics are [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) http: Option<String>,
    /// Where SDKs are told to connect [default: where they did]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) advertise: Option<String>,
    /// Start although a door is open to the network and nobody has to prove who he is
    #[arg(long)]
    pub(super) allow_anonymous_beyond_loopback: bool,
    /// Print the configuration in effect as TOML and exit
    #[arg(long)]
    pub(super) print_config: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum TopicCommand {
    /// Create a topic
    Create {
        /// Its name
        name: String,
        /// What it takes
        #[arg(long = "type", value_enum, default_value_t = TopicTypeArg::Lite)]
        topic_type: TopicTypeArg,
        #[command(flatten)]
        settings: TopicSettings,
    },
    /// Change a topic
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: TopicSettings,
    },
    /// List all topics
    List,
    /// Describe a topic
    Describe {
        /// Its name
        name: String,
    },
    /// Delete a topic with all its lite topics
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct TopicSettings {
    /// How long a lite topic lives after its last send, such as 30m, or never
    #[arg(long, allow_hyphen_values = true)]
    pub(super) ttl: Option<String>,
    /// Whether reads and acks keep a lite topic alive too
    #[arg(long, value_name = "true|false")]
    pub(super) counts_reads: Option<bool>,
    /// Whether a lite topic lives until each group of the topic has settled all of it
    #[arg(long, value_name = "true|false")]
    pub(super) keep_undelivered: Option<bool>,
    /// Whether a lite topic lives while a client is subscribed to it
    #[arg(long, value_name = "true|false")]
    pub(super) keep_subscribed: Option<bool>,
    /// Lite topics that may be alive; -1 or unlimited is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_limit)]
    pub(super) lite_topic_quota: Option<i64>,
    /// Messages a second that may be sent; -1 or unlimited is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_limit)]
    pub(super) send_rate: Option<i64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum TopicTypeArg {
    /// The parent of lite topics
    Lite,
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Create a group
    Create {
        /// Its name
        name: String,
        /// The topic that it consumes
        #[arg(long, value_name = "TOPIC")]
        bind: String,
        #[command(flatten)]
        settings: GroupSettings,
    },
    /// Change a group
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: GroupSettings,
    },
    /// List all groups
    List,
    /// Describe a group
    Describe {
        /// Its name
        name: String,
    },
    /// Show how far a group is, and in which lite topics it is farthest behind
    Stats {
        /// Its name
        name: String,
        /// At most so many lite topics
        #[arg(long, value_name = "N", default_value_t = 20)]
        top: usize,
        /// Those with the most messages left, or with the oldest
        #[arg(long, value_name = "lag|age", default_value = "lag")]
        by: StatsBy,
    },
    /// List the clients of a group: those that are connected, and those that have lite topics
    Clients {
        /// The group
        name: String,
        /// At most so many
        #[arg(long)]
        limit: Option<usize>,
        /// Only those with an id after this one
        #[arg(long, value_name = "CLIENT")]
        after: Option<String>,
    },
    /// Show what a client has for a group
    Client {
        /// The group
        name: String,
        /// The id of the client
        client: String,
    },
    /// Move a group to another place of a lite topic, or of all that it consumes
    Reset {
        /// Its name
        name: String,
        /// The lite topic; all in which the group has a position or a subscriber by default
        #[arg(long, value_name = "NAME")]
        lite: Option<String>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Take a lite topic, or all, from a client, which is told; it may subscribe again. Not for
    /// wildcard groups, whose clients share all
    Unsubscribe {
        /// The group
        name: String,
        /// The id of the client
        client: String,
        /// The lite topic; all by default
        #[arg(long, value_name = "NAME")]
        lite: Option<String>,
    },
    /// Delete a group with its positions
    Delete {
        /// Its name
        name: String,
    },
}

/// Which lite topics come first.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StatsBy {
    Lag,
    Age,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct PlaceArgs {
    /// The oldest message, or behind the newest
    #[arg(long, value_name = "oldest|newest")]
    pub(super) to: Option<String>,
    /// This offset
    #[arg(long, value_name = "OFFSET")]
    pub(super) offset: Option<u64>,
    /// The newest messages, so many
    #[arg(long, value_name = "N")]
    pub(super) tail: Option<u64>,
    /// The first message stored at this moment or later, such as 2026-01-31T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) time: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct GroupSettings {
    /// Whether messages of one lite topic are handed out strictly one after another
    #[arg(long, value_name = "true|false")]
    pub(super) ordered: Option<bool>,
    /// Lite topics that one client may subscribe to; -1 or unlimited is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = quota)]
    pub(super) client_quota: Option<i64>,
    /// Delivery attempts before a message is a dead letter
    #[arg(long, value_name = "N")]
    pub(super) max_attempts: Option<u16>,
    /// How clients share lite topics: shared, exclusive (one client at a time, the newest subscriber)
    /// or wildcard (all clients share all lite topics of the parent)
    #[arg(long, value_name = "MODE")]
    pub(super) mode: Option<String>,
    /// For wildcard groups: only lite topics whose names start so, such as 'session-*'
    #[arg(long, value_name = "PREFIX*")]
    pub(super) pattern: Option<String>,
    /// Messages of one lite topic handed out a second; -1 or unlimited is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_limit)]
    pub(super) consume_rate: Option<i64>,
    /// In an exclusive group, a client that takes a lite topic over starts at its oldest message
    #[arg(long, value_name = "true|false")]
    pub(super) reset_on_takeover: Option<bool>,
    /// When a client unsubscribes from a lite topic, the group goes back to its oldest message
    #[arg(long, value_name = "true|false")]
    pub(super) reset_on_unsubscribe: Option<bool>,
    /// Whether a simple consumer's suspend is one, and no nack
    #[arg(long, value_name = "true|false")]
    pub(super) simple_suspend: Option<bool>,
    /// When clients try failed messages again: spans such as '1s,5s,30s', or 1s*2..10m
    #[arg(long, value_name = "SPANS")]
    pub(super) backoff: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum LiteCommand {
    /// List lite topics by name
    List {
        /// The parent topic
        topic: String,
        /// Only names that start so
        #[arg(long, default_value = "")]
        prefix: String,
        /// At most so many
        #[arg(long)]
        limit: Option<usize>,
        /// Only names after this one
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
    /// Describe a lite topic and where its groups are
    Describe {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
    },
    /// Create a lite topic ahead of its first message
    Create {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
        /// A time to live of its own, such as 30m, or never
        #[arg(long, allow_hyphen_values = true)]
        ttl: Option<String>,
    },
    /// Keep a lite topic from expiring for a while
    Extend {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
        /// How long from now, such as 2h
        span: String,
    },
    /// Keep a lite topic from expiring at all
    Pin {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
    },
    /// Let a lite topic expire that was pinned or extended
    Unpin {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
    },
    /// Give a lite topic a time to live of its own
    Ttl {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
        /// Such as 30m, or never, or parent: that of its topic
        #[arg(allow_hyphen_values = true)]
        ttl: String,
    },
    /// Look at messages without consuming them; with --json one line each
    Messages {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
        #[command(flatten)]
        look: LookArgs,
        /// Go on until there is no more
        #[arg(long)]
        all: bool,
    },
    /// Delete a lite topic with its messages
    Delete {
        /// The parent topic
        topic: String,
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user and print its secret, which is told only now
    Create {
        /// Its name, which is its access key
        name: String,
        /// It may do everything
        #[arg(long = "super")]
        is_super: bool,
        /// Its signature is not accepted until it is enabled
        #[arg(long)]
        disabled: bool,
        /// A file with its secret; the server draws one otherwise
        #[arg(long, value_name = "FILE")]
        new_secret_file: Option<PathBuf>,
    },
    /// List all users
    List,
    /// Accept the signature of a user again
    Enable {
        /// Its name
        name: String,
    },
    /// Accept the signature of a user no more, and end its clients
    Disable {
        /// Its name
        name: String,
    },
    /// Delete a user with its policies
    Delete {
        /// Its name
        name: String,
    },
    /// Give a user another secret and print it, which is told only now
    Rotate {
        /// Its name
        name: String,
        /// A file with its secret; the server draws one otherwise
        #[arg(long, value_name = "FILE")]
        new_secret_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Allow or deny a user something: policy add tenant-a allow publish,subscribe 'lite:chat/a-*'
    Add {
        /// Whom it is about
        name: String,
        /// Whether it may be done; a denial wins over every permission
        effect: EffectArg,
        /// Which actions
        #[arg(value_delimiter = ',', required = true)]
        actions: Vec<ActionArg>,
        /// cluster, topic:NAME, group:NAME, lite:TOPIC/NAME or *; a name may end in *
        resource: String,
        /// From which network, such as 10.0.0.0/8
        #[arg(long, value_name = "NETWORK")]
        from: Option<String>,
    },
    /// List policies
    List {
        /// Only those of this user
        name: Option<String>,
        /// At most so many
        #[arg(long)]
        limit: Option<usize>,
        /// Only those after this one
        #[arg(long, value_name = "USER/ID")]
        after: Option<String>,
    },
    /// Remove a policy
    Remove {
        /// Its number
        id: u32,
    },
    /// Say what is decided about a request, and by which policy
    Test {
        /// Who asks
        name: String,
        /// What is to be done
        action: ActionArg,
        /// cluster, topic:NAME, group:NAME, lite:TOPIC/NAME or lite:TOPIC/PREFIX*
        resource: String,
        /// From where [default: 127.0.0.1]
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum EffectArg {
    /// It may be done
    Allow,
    /// It may not be done, whatever else allows it
    Deny,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ActionArg {
    /// Send messages
    Publish,
    /// Subscribe, receive, settle, look at messages
    Subscribe,
    /// Administer
    Manage,
}

#[derive(Debug, Subcommand)]
pub(super) enum QuotaCommand {
    /// Show how many there are and may be
    Show,
    /// Change how many there may be
    Set {
        /// Lite topics; -1 or unlimited is no limit
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_limit)]
        lite_topics: Option<i64>,
        /// Pairs of a client and a lite topic; -1 or unlimited is no limit
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_limit)]
        subscriptions: Option<i64>,
    },
    /// Named sizes, those of the instances that LiteTopics are sold in
    #[command(subcommand)]
    Profile(ProfileCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// List them
    List,
    /// Set the quotas to one of them
    Apply {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The parent topic
    pub(super) topic: String,
    /// The lite topic
    #[arg(long, value_name = "NAME")]
    pub(super) lite: String,
    /// A key of the message; can be repeated
    #[arg(long = "key", value_name = "K")]
    pub(super) keys: Vec<String>,
    /// The tag of the message
    #[arg(long)]
    pub(super) tag: Option<String>,
    #[command(flatten)]
    pub(super) body: BodyArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct BodyArgs {
    /// The body
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) body: Option<String>,
    /// A file with the body; - is the standard input
    #[arg(long, value_name = "FILE")]
    pub(super) body_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PeekArgs {
    /// The parent topic
    pub(super) topic: String,
    /// The lite topic
    #[arg(long, value_name = "NAME")]
    pub(super) lite: String,
    #[command(flatten)]
    pub(super) look: LookArgs,
}

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// The parent topic
    #[arg(long, value_name = "NAME")]
    pub(super) topic: String,
    /// The lite topic; without it only an id is found, and only what is still remembered
    #[arg(long, visible_alias = "lite", value_name = "NAME")]
    pub(super) lite_topic: Option<String>,
    /// The message id
    #[arg(long, value_name = "ID", required_unless_present = "key")]
    pub(super) id: Option<String>,
    /// A key of the message
    #[arg(long, value_name = "KEY", conflicts_with = "id", requires = "lite_topic")]
    pub(super) key: Option<String>,
    /// Only stored messages before this offset
    #[arg(long, value_name = "OFFSET", requires = "lite_topic")]
    pub(super) before: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct LookArgs {
    /// Only at this offset or after
    #[arg(long, value_name = "OFFSET")]
    pub(super) from: Option<u64>,
    /// Only before this offset
    #[arg(long, value_name = "OFFSET")]
    pub(super) before: Option<u64>,
    /// Only stored at this moment or after, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) from_time: Option<String>,
    /// Only stored before this moment
    #[arg(long, value_name = "TIME")]
    pub(super) to_time: Option<String>,
    /// Only with this key
    #[arg(long, value_name = "K")]
    pub(super) key: Option<String>,
    /// Only with this message id
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// The newest first
    #[arg(long)]
    pub(super) newest: bool,
    /// At most so many at a time
    #[arg(long)]
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List the lite topics of which a group has dead letters
    List {
        /// The group
        group: String,
        /// Only names that start so
        #[arg(long, default_value = "")]
        prefix: String,
        /// At most so many
        #[arg(long)]
        limit: Option<usize>,
        /// Only names after this one
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
    /// Look at dead letters; with --json one line each
    Show {
        /// The group
        group: String,
        /// The lite topic
        name: String,
        #[command(flatten)]
        look: LookArgs,
        /// Go on until there is no more
        #[arg(long)]
        all: bool,
    },
    /// Send dead letters again to the lite topic they came from
    Resend {
        /// The group
        group: String,
        /// The lite topic
        name: String,
        #[command(flatten)]
        which: ResendArgs,
    },
    /// Delete the dead letters of a lite topic
    Delete {
        /// The group
        group: String,
        /// The lite topic
        name: String,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ResendArgs {
    /// This letter; can be repeated
    #[arg(long = "offset", value_name = "OFFSET")]
    pub(super) offsets: Vec<u64>,
    /// The oldest that were not sent again yet, so many
    #[arg(long, value_name = "N")]
    pub(super) oldest: Option<usize>,
    /// All that were not sent again yet
    #[arg(long)]
    pub(super) all: bool,
}

fn quota(text: &str) -> Result<i64, String> {
    parse_quota(text).map(quota_number)
}
