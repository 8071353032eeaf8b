//! What every field of the document takes, as one table, and where it was called otherwise.
//!
//! The types in [`super`] say what is read; this table says what is accepted, so that a refusal can name every bad field at
//! once, in words of ours and without the value, which may be a secret in the wrong place. A test holds the two together.

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A text that is not empty, of at most so many characters.
    Text(usize),
    /// A whole number from, to.
    Whole(u64, u64),
    /// A number from 0 to this: dollars.
    Dollars(f64),
    /// One of these texts.
    Word(&'static [&'static str]),
    /// An IANA zone.
    Zone,
    /// A date, `YYYY-MM-DD`.
    Day,
    /// A time of day, `HH:MM`, `24:00` included.
    Clock,
    /// A duration, `30m`.
    Span,
    /// A reference to a secret.
    Secret,
    /// Headers of HTTP; those that open something hold references.
    Headers,
    /// An http or https address.
    Address,
    /// An https address; http too on the local stack.
    SafeAddress,
    /// The name of a host.
    Host,
    /// A model or an alias.
    Model,
    /// What an alias stands for.
    AliasTarget,
    /// A model with its provider.
    FullModel,
    /// A model, an alias, `provider/*` or `*`.
    ModelRule,
    /// The name of a configured MCP server.
    McpName,
    /// A JSON Schema of an object.
    Schema,
    /// Anything, with a remark.
    Ignored(&'static str),
    /// A list.
    List(&'static Shape),
    /// An object with names of the user's.
    Map(Names, &'static Shape),
    /// An object with these fields.
    Object(&'static [Field]),
}

/// What names of the user's may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names {
    /// Not empty, at most 128 characters, none of them a control character.
    Any,
    /// An agent's id.
    Agent,
    /// A provider's: no slash.
    Provider,
    /// A hook's, which stands in a path.
    Hook,
    /// A tool's, as the Messages API takes it.
    Tool,
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// Whether `null` may stand there.
    pub(super) null: bool,
    /// Whether it must be there.
    pub(super) needed: bool,
}

const fn is(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, null: false, needed: false }
}

/// A field that may be `null`.
const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, null: true, needed: false }
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, null: false, needed: true }
}

/// Fields that were called otherwise; both names are accepted, the second is stored.
pub(super) const MOVED: [(&[&str], &[&str]); 3] = [
    (&["cron", "defaultBatch"], &["cron", "batch", "default"]),
    (&["cron", "allowBatch"], &["cron", "batch", "allow"]),
    (&["tools"], &["webhookTools"]),
];

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// As for a job: seven days.
const TURN_S: u64 = 604_800;
/// A limit above this is a slip of the hand.
pub(crate) const MOST_USD: f64 = 1_000_000.0;
/// Dollars per million tokens; the dearest model of 2026 costs 50.
const MOST_PRICE: f64 = 100_000.0;
/// A hundred times what the largest context of 2026 takes.
const MOST_TOKENS: u64 = 100_000_000;
/// Anthropic's words and `OpenAI`'s.
const EFFORT: Shape = Shape::Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]);
const NAME: Shape = Shape::Text(128);
const PROSE: Shape = Shape::Text(100_000);
const PLACE: Shape = Shape::Text(512);
const THINKING: Shape = Shape::Word(&["off", "minimal", "low", "medium", "high", "xhigh", "max", "adaptive"]);
const CHANNEL: Shape = Shape::Word(&CHANNELS);
const CHANNELS: [&str; 8] = ["telegram", "slack", "discord", "whatsapp", "mattermost", "signal", "imessage", "console"];

/// The whole document.
pub(super) const DOCUMENT: Shape = Shape::Object(&[
    is("cron", Shape::Object(CRON)),
    is("agents", Shape::Object(AGENTS)),
    is("providers", Shape::Map(Names::Provider, &Shape::Object(PROVIDER))),
    is("models", Shape::Object(MODELS)),
    is("mcpServers", Shape::Map(Names::Any, &Shape::Object(MCP_SERVER))),
    is("webhookTools", WEBHOOK_TOOLS),
    is("channels", Shape::Object(CHATS)),
    is("hooks", Shape::Object(HOOKS)),
    is("api", Shape::Object(API)),
    is("tools", WEBHOOK_TOOLS),
]);

const CRON: &[Field] = &[
    is("enabled", Shape::Flag),
    may("timezone", Shape::Zone),
    is("maxConcurrentRuns", Shape::Whole(1, 1000)),
    // Below a minute on the local stack only; a month would be a slip of the hand.
    is("minIntervalMs", Shape::Whole(1, 31 * DAY_MS)),
    is("missed", Shape::Word(&["skip", "once", "all"])),
    is("overlap", Shape::Word(&["skip", "allow", "queue"])),
    is(
        "batch",
        Shape::Object(&[
            is("default", Shape::Flag),
            is("allow", Shape::Flag),
            is("windowSeconds", Shape::Whole(0, 86_400)),
            is("maxWaitMs", Shape::Whole(MINUTE_MS, 7 * DAY_MS)),
            is("onTimeout", Shape::Word(&["fail", "realtime"])),
            is("unexpectedFallbackAlertAfter", Shape::Whole(1, 1000)),
        ]),
    ),
    may(
        "failureAlert",
        Shape::Object(&[
            is("enabled", Shape::Flag),
            may("after", Shape::Whole(1, 1000)),
            may("cooldownMs", Shape::Whole(0, 365 * DAY_MS)),
            may("mode", Shape::Word(&["announce", "webhook", "none"])),
            may("channel", CHANNEL_OR_LAST),
            may("to", PLACE),
            may("accountId", NAME),
            may("includeSkipped", Shape::Flag),
        ]),
    ),
    may("budget", BUDGET),
    is(
        "retention",
        Shape::Object(&[
            is("runsDays", Shape::Whole(1, 3650)),
            is("runsPerJob", Shape::Whole(1, 1_000_000)),
            is("isolatedSessionHours", Shape::Whole(1, 24 * 3650)),
            is("eventsMax", Shape::Whole(1, 10_000)),
            is("eventsDays", Shape::Whole(1, 3650)),
        ]),
    ),
    is("webhookSsrfPolicy", Shape::Object(&[is("allowedHostnames", Shape::List(&Shape::Host))])),
    may("webhookSecret", Shape::Secret),
    may("store", Shape::Ignored("cron.store is accepted and not used: jobs are stored in the table")),
    is("defaultBatch", Shape::Flag),
    is("allowBatch", Shape::Flag),
];

const CHANNEL_OR_LAST: Shape =
    Shape::Word(&["telegram", "slack", "discord", "whatsapp", "mattermost", "signal", "imessage", "console", "last"]);

const BUDGET: Shape = Shape::Object(&[
    may("runUsd", Shape::Dollars(MOST_USD)),
    may("dayUsd", Shape::Dollars(MOST_USD)),
    may("monthUsd", Shape::Dollars(MOST_USD)),
]);

const AGENTS: &[Field] =
    &[is("defaults", Shape::Object(AGENT)), is("entries", Shape::Map(Names::Agent, &Shape::Object(AGENT)))];

const AGENT: &[Field] = &[
    is("default", Shape::Flag),
    may("name", NAME),
    may("instructions", PROSE),
    is("documents", Shape::List(&PLACE)),
    may("model", Shape::Model),
    is("fallbacks", Shape::List(&Shape::Model)),
    may("thinking", THINKING),
    may("timeoutSeconds", Shape::Whole(1, TURN_S)),
    // Every name derived from a run of the longest job id fits with two digits of hops.
    may("maxHops", Shape::Whole(1, 99)),
    may("timezone", Shape::Zone),
    may(
        "tools",
        Shape::Object(&[
            may("allow", Shape::List(&NAME)),
            may("webSearch", Shape::Flag),
            may("webFetch", Shape::Flag),
            may("codeExecution", Shape::Flag),
            may("message", Shape::Flag),
            may("memory", Shape::Flag),
            may("cron", Shape::Object(&[may("maxJobs", Shape::Whole(0, 10_000))])),
            may("httpFetch", Shape::Flag),
            may("endpoint", Shape::Object(&[may("enabled", Shape::Flag), may("allow", Shape::List(&NAME))])),
        ]),
    ),
    is("mcpServers", Shape::List(&Shape::McpName)),
    may(
        "heartbeat",
        Shape::Object(&[
            may("every", Shape::Span),
            may("target", HEARTBEAT_TARGET),
            may("to", PLACE),
            may("model", Shape::Model),
            may("lightContext", Shape::Flag),
            may("isolatedSession", Shape::Flag),
            may("prompt", PROSE),
            may(
                "activeHours",
                Shape::Object(&[must("start", Shape::Clock), must("end", Shape::Clock), may("timezone", Shape::Zone)]),
            ),
        ]),
    ),
    may("defaultRoute", Shape::Object(&[must("channel", CHANNEL), must("to", PLACE), may("accountId", NAME)])),
    may("budget", BUDGET),
];

const HEARTBEAT_TARGET: Shape = Shape::Word(&[
    "telegram",
    "slack",
    "discord",
    "whatsapp",
    "mattermost",
    "signal",
    "imessage",
    "console",
    "last",
    "owner",
    "none",
]);

const PROVIDER: &[Field] = &[
    may("kind", Shape::Word(&["anthropic", "openai"])),
    may("baseUrl", Shape::Address),
    may("apiKey", Shape::Secret),
    may("credentialKind", Shape::Word(&["wif"])),
    is("dedicatedWorkspace", Shape::Flag),
    may("workspaceId", NAME),
];

const MODELS: &[Field] = &[
    is("aliases", Shape::Map(Names::Any, &Shape::AliasTarget)),
    may("allow", Shape::List(&Shape::ModelRule)),
    is(
        "prices",
        Shape::List(&Shape::Object(&[
            must("model", Shape::FullModel),
            must("from", Shape::Day),
            must("input", Shape::Dollars(MOST_PRICE)),
            must("output", Shape::Dollars(MOST_PRICE)),
            is("cacheWrite5m", Shape::Dollars(MOST_PRICE)),
            is("cacheWrite1h", Shape::Dollars(MOST_PRICE)),
            is("cacheRead", Shape::Dollars(MOST_PRICE)),
            may("threshold", Shape::Whole(1, 1_000_000_000)),
            may("factorAbove", Shape::Whole(1, 1000)),
        ])),
    ),
    is(
        "capabilities",
        Shape::List(&Shape::Object(&[
            must("model", Shape::FullModel),
            may("from", Shape::Day),
            may("maxTokens", Shape::Whole(1, MOST_TOKENS)),
            may("maxInputTokens", Shape::Whole(1, MOST_TOKENS)),
            may("efforts", Shape::List(&EFFORT)),
            may("thinking", Shape::List(&Shape::Word(&["adaptive", "enabled", "disabled", "between_tools"]))),
            may("batch", Shape::Flag),
            may("serverTools", Shape::Flag),
        ])),
    ),
];

const MCP_SERVER: &[Field] = &[must("url", Shape::SafeAddress), may("authorizationToken", Shape::Secret)];

const WEBHOOK_TOOLS: Shape = Shape::Map(
    Names::Tool,
    &Shape::Object(&[
        must("description", PROSE),
        is("inputSchema", Shape::Schema),
        must("url", Shape::SafeAddress),
        may("secret", Shape::Secret),
        // A function runs for at most 15 minutes (Lambda quotas page).
        is("timeoutSeconds", Shape::Whole(1, 900)),
    ]),
);

const LIMIT: Field = may("textChunkLimit", Shape::Whole(1, 100_000));
const SERVER: Field = may("baseUrl", Shape::Address);
const OWN_SERVER: Field = must("baseUrl", Shape::Address);

const CHATS: &[Field] = &[
    is("telegram", BOT),
    is("slack", BOT),
    is("discord", BOT),
    is(
        "whatsapp",
        Shape::Object(&[is(
            "accounts",
            Shape::Map(
                Names::Any,
                &Shape::Object(&[
                    must("accessToken", Shape::Secret),
                    must("phoneNumberId", NAME),
                    may("apiVersion", NAME),
                    SERVER,
                    LIMIT,
                ]),
            ),
        )]),
    ),
    is(
        "mattermost",
        Shape::Object(&[is(
            "accounts",
            Shape::Map(Names::Any, &Shape::Object(&[OWN_SERVER, must("token", Shape::Secret), LIMIT])),
        )]),
    ),
    is(
        "signal",
        Shape::Object(&[is(
            "accounts",
            Shape::Map(
                Names::Any,
                &Shape::Object(&[OWN_SERVER, must("number", NAME), may("headers", Shape::Headers), LIMIT]),
            ),
        )]),
    ),
    is(
        "imessage",
        Shape::Object(&[is(
            "accounts",
            Shape::Map(Names::Any, &Shape::Object(&[OWN_SERVER, must("password", Shape::Secret), LIMIT])),
        )]),
    ),
];

const BOT: Shape = Shape::Object(&[is(
    "accounts",
    Shape::Map(Names::Any, &Shape::Object(&[must("botToken", Shape::Secret), SERVER, LIMIT])),
)]);

const HOOKS: &[Field] = &[
    is("enabled", Shape::Flag),
    may("token", Shape::Secret),
    is(
        "named",
        Shape::Map(
            Names::Hook,
            &Shape::Object(&[
                may("agentId", NAME),
                may("name", NAME),
                may("model", Shape::Model),
                may("thinking", THINKING),
                may("timeoutSeconds", Shape::Whole(1, TURN_S)),
                may("batch", Shape::Flag),
                may("deliver", Shape::Flag),
                may("channel", CHANNEL_OR_LAST),
                may("to", PLACE),
            ]),
        ),
    ),
];

const API: &[Field] = &[
    may("publicUrl", Shape::SafeAddress),
    is("bearer", Shape::Object(&[is("enabled", Shape::Flag), may("tokenSha256", Shape::Secret)])),
];
