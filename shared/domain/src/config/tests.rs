//! The document: what is accepted, what is refused and how that is told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shape::{DOCUMENT, Field, MOVED, Names, Shape};
use super::*;

/// The page that shows every field.
const EXAMPLE: &str = include_str!("../../tests/config-example.json");

fn example() -> Value {
    serde_json::from_str(EXAMPLE).unwrap()
}

fn refused(document: &Value, local: bool) -> Vec<String> {
    check(document, local).faults.into_iter().map(|fault| fault.field).collect()
}

#[test]
fn the_example_that_shows_every_field_is_accepted_as_it_is() {
    let checked = check(&example(), true);
    assert_eq!(checked.faults, []);
    assert_eq!(checked.document, example(), "it is stored as it was written");
    let config = checked.config.unwrap();
    assert_eq!(config, Config::parse(&example()).unwrap());
    let (id, main, _) = config.agent(None);
    assert_eq!((id.as_str(), main.default_route.as_ref().unwrap().channel.as_str()), ("main", "telegram"));
    assert_eq!(config.tools_of(&main).max_jobs, 20);
    assert_eq!(config.heartbeat_of(&config.agents.entries["ops"]).every, "0m");
    assert_eq!(config.heartbeat_of(&main).active_hours.unwrap().end, "22:00");
    assert_eq!(config.cron.failure_alert.unwrap().rule().cooldown_ms, Some(3_600_000));
    assert_eq!(config.channels["signal"].accounts["default"].number.as_deref(), Some("+15550001111"));
    assert_eq!(config.hooks.named["gmail"].deliver, Some(true));
    assert_eq!(config.webhook_tools["ticket_create"].timeout_seconds, 30);
    assert_eq!(refused(&example(), false), ["config.providers.local-vllm.apiKey"], "what only one machine can do");
}

#[test]
fn defaults_are_what_the_example_shows() {
    let shown = Config::parse(&example()).unwrap().cron;
    let own = CronConfig::default();
    assert_eq!((own.enabled, own.max_concurrent_runs, own.min_interval_ms), (true, 4, 60_000));
    assert_eq!(
        (own.missed, own.overlap, &own.batch, &own.retention),
        (shown.missed, shown.overlap, &shown.batch, &shown.retention)
    );
    let defaults = Config::parse(&example()).unwrap().agents.defaults;
    assert_eq!(ToolRules::of(None, None), ToolRules::of(defaults.tools.as_ref(), None));
    let beat = HeartbeatRules { active_hours: None, ..HeartbeatRules::of(defaults.heartbeat.as_ref(), None) };
    assert_eq!(HeartbeatRules::of(None, None), beat);
}

#[test]
fn every_bad_field_is_named_at_once_with_its_path_a_sentence_and_mostly_a_hint() {
    let document = json!({
        "corn": {},
        "cron": { "timezone": "Mars/Phobos", "maxConcurrentRuns": 0, "enabled": "yes", "missed": "never",
            "retention": { "runsDays": -1, "runsPerJob": 1e300, "eventsMax": 1.5, "eventsDays": null },
            "batch": { "maxWaitMs": 59_999, "windowSeconds": 86_401, "colour": 1 },
            "budget": { "dayUsd": -0.01 }, "webhookSecret": "hunter2", "failureAlert": { "mode": "webhook", "to": "ftp://x" },
            "webhookSsrfPolicy": { "allowedHostnames": ["https://x", "ok.example"] } },
        "agents": { "defaults": { "default": true, "model": "opuss", "heartbeat": { "every": "30", "activeHours": { "start": "8:00" } } },
            "entries": { "a": { "default": true, "maxHops": 100 }, "b": { "default": true, "mcpServers": ["github"] },
                "Ops Team": {}, "c": { "defaultRoute": { "channel": "telegramm" }, "fallbacks": ["nobody/x"] } } },
        "providers": { "vllm": { "kind": "openai" }, "x": { "kind": "bedrock", "baseUrl": "https://u:p@host" } },
        "models": { "aliases": { "fast": "haiku", "slow": "claude-opus-5-5" }, "prices": [
            { "model": "claude", "from": "tomorrow", "input": -1, "output": "2" } ], "capabilities": [
            { "maxTokens": 0, "efforts": ["low", "lots"], "thinking": "adaptive", "batch": "no", "tools": true } ] },
        "channels": { "telegram": { "accounts": { "default": { "botToken": "123:abc", "number": "+1" } } }, "sms": {} },
        "mcpServers": { "m": { "url": "http://x" } },
        "webhookTools": { "a tool": { "description": "x", "url": "https://x", "inputSchema": { "type": "string" } } },
        "hooks": { "enabled": true, "named": { "wake": {} } },
        "api": { "bearer": { "enabled": true } },
    });
    let faults = check(&document, false).faults;
    let named: Vec<&str> = faults.iter().map(|fault| fault.field.strip_prefix("config.").unwrap()).collect();
    let expected = [
        "corn",
        "cron.timezone",
        "cron.maxConcurrentRuns",
        "cron.enabled",
        "cron.missed",
        "cron.retention.runsDays",
        "cron.retention.runsPerJob",
        "cron.retention.eventsMax",
        "cron.retention.eventsDays",
        "cron.batch.maxWaitMs",
        "cron.batch.windowSeconds",
        "cron.batch.colour",
        "cron.budget.dayUsd",
        "cron.webhookSecret",
        "cron.webhookSsrfPolicy.allowedHostnames[0]",
        "agents.defaults.model",
        "agents.defaults.heartbeat.every",
        "agents.defaults.heartbeat.activeHours.start",
        "agents.defaults.heartbeat.activeHours.end",
        "agents.entries.a.maxHops",
        "agents.entries.b.mcpServers[0]",
        "agents.entries.\"Ops Team\"",
        "agents.entries.c.defaultRoute.channel",
        "agents.entries.c.defaultRoute.to",
        "agents.entries.c.fallbacks[0]",
        "providers.x.kind",
        "providers.x.baseUrl",
        "models.aliases.fast",
        "models.prices[0].model",
        "models.prices[0].from",
        "models.prices[0].input",
        "models.prices[0].output",
        "models.capabilities[0].maxTokens",
        "models.capabilities[0].efforts[1]",
        "models.capabilities[0].thinking",
        "models.capabilities[0].batch",
        "models.capabilities[0].tools",
        "models.capabilities[0].model",
        "channels.telegram.accounts.default.botToken",
        "channels.telegram.accounts.default.number",
        "channels.sms",
        "mcpServers.m.url",
        "webhookTools.\"a tool\"",
        "webhookTools.\"a tool\".inputSchema",
        "hooks.named.wake",
        "agents.defaults.default",
        "agents.entries.b.default",
        "providers.vllm.baseUrl",
        "hooks.token",
        "api.bearer.tokenSha256",
        "cron.failureAlert.to",
    ];
    assert_eq!(named, expected);
    for fault in &faults {
        assert!(!fault.message.is_empty() && !fault.message.ends_with('.'), "{fault}");
    }
    let hint = |field: &str| {
        let fault = faults.iter().find(|fault| fault.field == format!("config.{field}")).unwrap();
        fault.hint.clone().unwrap_or_default()
    };
    assert!(hint("corn").starts_with("did you mean \"cron\"?"), "{}", hint("corn"));
    assert!(hint("agents.defaults.model").contains("\"opus\""));
    assert!(hint("channels.sms").contains("whatsapp"));
}

#[test]
fn what_fields_mean_together_is_told_beside_the_bad_ones_that_do_not_matter_to_it() {
    let document = json!({
        "cron": { "enabled": 1, "failureAlert": { "mode": "webhook" } },
        "agents": { "defaults": { "default": true }, "entries": { "a": { "default": true }, "b": { "default": true },
            "c": { "heartbeat": { "activeHours": { "start": "08:00", "end": "08:00" } } } } },
        "providers": { "vllm": { "kind": "openai" } }, "hooks": { "enabled": true }, "api": { "bearer": { "enabled": true } },
    });
    let expected = [
        "config.cron.enabled",
        "config.agents.defaults.default",
        "config.agents.entries.b.default",
        "config.agents.entries.c.heartbeat.activeHours.end",
        "config.providers.vllm.baseUrl",
        "config.hooks.token",
        "config.api.bearer.tokenSha256",
        "config.cron.failureAlert.to",
    ];
    assert_eq!(refused(&document, true), expected);
    let whole = json!({ "models": { "allow": ["haiku"], "prices": [
            { "model": "a/b", "from": "2026-01-01", "input": 1, "output": 1 },
            { "model": "a/b", "from": "2026-01-01", "input": 2, "output": 1 } ],
            "capabilities": [{ "model": "a/b" }, { "model": "a/b", "from": "2026-01-01" }, { "model": "a/b" }] },
        "agents": { "entries": { "main": { "model": "opus" } } } });
    assert_eq!(
        refused(&whole, true),
        ["config.agents.entries.main.model", "config.models.prices[1]", "config.models.capabilities[2]"]
    );
}

#[test]
fn a_tool_of_the_users_has_a_name_of_its_own_a_safe_address_and_a_schema_that_can_be_checked() {
    let tool = |schema: Value, url: &str| json!({ "description": "x", "url": url, "inputSchema": schema });
    let object = || json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let fine = json!({ "webhookTools": { "ticket_create-2": tool(object(), "https://x.example/t") } });
    assert_eq!(refused(&fine, false), [""; 0]);
    for name in [
        "message",
        "memory",
        "cron",
        "http_fetch",
        "web_search",
        "web_fetch",
        "code_execution",
        "",
        "a.b",
        "ü",
        &"x".repeat(65),
    ] {
        let document = json!({ "webhookTools": { name: tool(object(), "https://x.example/t") } });
        assert_eq!(refused(&document, false).len(), 1, "{name}");
    }
    for schema in [
        json!({}),
        json!({ "type": "array" }),
        json!([]),
        json!({ "type": "object", "properties": { "n": { "type": "int" } } }),
        json!({ "type": "object", "$ref": "file:///etc/hostname" }),
    ] {
        let document = json!({ "webhookTools": { "t": tool(schema.clone(), "https://x.example/t") } });
        assert_eq!(refused(&document, false), ["config.webhookTools.t.inputSchema"], "{schema}");
    }
    for url in ["http://x.example/t", "https://u:p@x.example/t", "x"] {
        let document = json!({ "webhookTools": { "t": tool(object(), url) } });
        assert_eq!(refused(&document, false), ["config.webhookTools.t.url"], "{url}");
    }
}

#[test]
fn a_refused_secret_is_never_repeated() {
    let secret = "sk-ant-api03-VERYSECRET0123456789";
    let places = [
        json!({ "providers": { "anthropic": { "apiKey": secret, "baseUrl": secret, "kind": secret } } }),
        json!({ "cron": { "timezone": secret, "webhookSecret": secret, "maxConcurrentRuns": secret, "missed": secret } }),
        json!({ "agents": { "defaults": { "model": secret, "thinking": secret, "heartbeat": { "every": secret } } } }),
        json!({ "agents": { "defaults": { "mcpServers": [secret], "fallbacks": [format!("{secret}/x")] } } }),
        json!({ "channels": { "slack": { "accounts": { "default": { "botToken": "xoxb-VERYSECRET" } } } } }),
        json!({ "channels": { "signal": { "accounts": { "default": { "baseUrl": "https://s", "number": "+1",
            "headers": { "Authorization": format!("Bearer {secret}") } } } } } }),
        json!({ "hooks": { "token": format!("ssm:{secret} x") }, "api": { "publicUrl": format!("https://u:{secret}@h") } }),
        json!({ "mcpServers": { "m": { "url": "https://m", "authorizationToken": [secret] } } }),
        json!({ "hooks": { "enabled": secret }, "models": { "allow": [secret], "prices": secret } }),
    ];
    for document in places {
        for local in [false, true] {
            let checked = check(&document, local);
            assert!(!checked.faults.is_empty(), "{document}");
            let told = serde_json::to_string(&checked.faults).unwrap() + &checked.notes.concat();
            assert!(!told.contains("VERYSECRET"), "{told}");
        }
        let told = Config::parse(&document).err().map_or_else(String::new, |fault| format!("{fault:?}"));
        assert!(!told.contains("VERYSECRET"), "{told}");
    }
}

#[test]
fn secrets_are_references_and_only_one_machine_has_its_own() {
    let of = |secret: &str, local| refused(&json!({ "hooks": { "token": secret } }), local).is_empty();
    for (secret, local, aws) in [
        ("ssm:/nightshift/key", true, true),
        ("ssm:key:3", true, true),
        ("env:NIGHTSHIFT_KEY", true, false),
        ("file:/run/secrets/key", true, false),
        ("ssm:", false, false),
        ("ssm:two words", false, false),
        ("env:1X", false, false),
        ("file:", false, false),
        ("SSM:/x", false, false),
        ("plain", false, false),
        ("", false, false),
    ] {
        assert_eq!((of(secret, true), of(secret, false)), (local, aws), "{secret}");
    }
}

#[test]
fn what_only_one_machine_can_do_is_refused_elsewhere() {
    let document = json!({ "cron": { "minIntervalMs": 1000 }, "mcpServers": { "m": { "url": "http://127.0.0.1:1" } },
        "agents": { "entries": { "main": { "defaultRoute": { "channel": "console", "to": "console" } } } } });
    assert_eq!(refused(&document, true), [""; 0]);
    let named =
        ["config.cron.minIntervalMs", "config.mcpServers.m.url", "config.agents.entries.main.defaultRoute.channel"];
    assert_eq!(refused(&document, false), named);
}

#[test]
fn other_names_are_stored_under_the_names_of_today() {
    let document =
        json!({ "cron": { "defaultBatch": true, "allowBatch": false, "store": "~/cron/jobs.json" }, "tools": {} });
    let checked = check(&document, true);
    assert_eq!(checked.faults, []);
    let stored = json!({ "cron": { "store": "~/cron/jobs.json", "batch": { "default": true, "allow": false } }, "webhookTools": {} });
    assert_eq!(checked.document, stored);
    assert_eq!(checked.notes.len(), 4, "{:?}", checked.notes);
    let batch = checked.config.unwrap().cron.batch;
    assert_eq!((batch.default, batch.allow), (true, false));
    let both = json!({ "cron": { "defaultBatch": true, "batch": { "default": false } } });
    assert_eq!(refused(&both, true), ["config.cron.defaultBatch"]);
    assert_eq!(
        refused(&json!({ "cron": { "defaultBatch": 1 } }), true),
        ["config.cron.defaultBatch"],
        "as it was written"
    );
    assert_eq!(current_path(&ConfigPath::parse("tools.x.url").unwrap()).to_string(), "webhookTools.x.url");
}

#[test]
fn an_array_is_no_configuration_and_no_part_of_one() {
    for (document, field) in [
        (json!([]), "config"),
        (json!([{ "timezone": "Europe/Vienna" }]), "config"),
        (json!({ "cron": [false] }), "config.cron"),
        (json!({ "cron": { "batch": [true] } }), "config.cron.batch"),
    ] {
        assert_eq!(Config::parse(&document).unwrap_err().field, field, "{document}");
        assert_eq!(refused(&document, true), [field]);
    }
    assert!(Config::parse(&json!({ "models": { "allow": ["*"] }, "mcpServers": {} })).is_ok());
}

#[test]
fn a_function_of_an_earlier_version_reads_a_document_of_a_later_one() {
    let later = json!({ "cron": { "timezone": "UTC", "moon": true }, "skills": {}, "models": { "prices": [
        { "model": "a/b", "from": "2026-01-01", "input": 1, "output": 1, "perImage": 2 } ] } });
    let fault = Config::parse(&later).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.field.as_str()), ("unknown_field", "config.cron.moon"));
    let (config, ignored) = Config::stored(&later).unwrap();
    assert_eq!(ignored, ["cron.moon", "skills", "models.prices[0].perImage"]);
    assert_eq!((config.cron.timezone.as_deref(), config.models.prices.len()), (Some("UTC"), 1));
    assert!(Config::stored(&json!({ "cron": { "enabled": "no" } })).is_err(), "what is not understood is not guessed");
}

#[test]
fn a_path_that_no_document_has_is_told_before_anything_is_changed() {
    let unknown = |path: &str| unknown_field(&ConfigPath::parse(path).unwrap()).map(|fault| (fault.field, fault.hint));
    for path in [
        "cron.timezone",
        "models.aliases.x",
        "models.prices[3].input",
        "models.prices.3",
        "cron.store.x.y",
        "webhookTools.t.inputSchema.properties.a",
        "channels.signal.accounts.a.headers.X-Y",
    ] {
        assert_eq!(unknown(path), None, "{path}");
    }
    let (field, hint) = unknown("cron.timezon").unwrap();
    assert_eq!(field, "config.cron.timezon");
    assert!(hint.unwrap().contains("did you mean \"timezone\"?"));
    assert_eq!(unknown("cron.timezone.x").unwrap().0, "config.cron.timezone");
    assert_eq!(unknown("channels.slack.default").unwrap().0, "config.channels.slack.default");
}

#[test]
fn a_document_of_thousands_of_faults_is_answered_in_bounds() {
    let many: serde_json::Map<String, Value> = (0..5000).map(|n| (format!("field{n}"), json!(1))).collect();
    let faults = check(&Value::Object(many), true).faults;
    assert_eq!(faults.len(), 101);
    assert_eq!(faults[100].message, "4900 more fields are not valid");
    let long = json!({ "agents": { "entries": { "a": { "instructions": "x".repeat(99_000) }, "b": { "instructions": "x".repeat(99_000) },
        "c": { "instructions": "x".repeat(99_000) } } } });
    assert_eq!(refused(&long, true), ["config"]);
}

/// A document in which every field the table knows is there.
fn full(shape: &Shape) -> Value {
    match shape {
        Shape::Flag => json!(false),
        Shape::Text(_) | Shape::Ignored(_) | Shape::McpName => json!("x"),
        Shape::Whole(least, most) => json!((*least).max(60_000).min(*most)),
        Shape::Dollars(_) => json!(1.5),
        Shape::Word(words) => json!(words[0]),
        Shape::Zone => json!("UTC"),
        Shape::Day => json!("2026-11-20"),
        Shape::Clock => json!("08:00"),
        Shape::Span => json!("30m"),
        Shape::Secret => json!("ssm:/x"),
        Shape::Headers => json!({ "Authorization": "ssm:/x", "X-Y": "z" }),
        Shape::Address | Shape::SafeAddress => json!("https://x.example"),
        Shape::Host => json!("x.example"),
        Shape::Model => json!("haiku"),
        Shape::AliasTarget | Shape::FullModel | Shape::ModelRule => json!("anthropic/claude-haiku-5-5"),
        Shape::Schema => json!({ "type": "object" }),
        Shape::List(shape) => json!([full(shape)]),
        Shape::Map(Names::Agent | Names::Any | Names::Hook | Names::Provider | Names::Tool, shape) => {
            json!({ "x": full(shape) })
        }
        Shape::Object(fields) => {
            fields.iter().map(|Field { name, shape, .. }| ((*name).to_owned(), full(shape))).collect()
        }
    }
}

/// Paths of everything in `value`.
fn paths(value: &Value, at: &ConfigPath, into: &mut Vec<ConfigPath>) {
    let mut below = |step: Step, value: &Value| {
        let at = at.join(&[step]);
        paths(value, &at, into);
        into.push(at);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| below(Step::Name(name.clone()), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| below(Step::Index(index), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_table_of_fields_and_the_types_that_are_read_know_the_same_fields() {
    let document = full(&DOCUMENT);
    let mut structural: Vec<Found> = found(&document);
    structural.retain(|one| one.kind != Kind::Rule);
    assert!(structural.is_empty(), "{:?}", structural.first().map(|one| one.fault.clone()));
    let today = check::renamed(&document).document;
    let read = serde_json::to_value(Config::parse(&document).unwrap()).unwrap();
    let (mut written, mut known) = (Vec::new(), Vec::new());
    paths(&today, &ConfigPath::default(), &mut written);
    for path in written {
        assert!(path.get(&read).is_some(), "the types do not know {path}");
    }
    paths(&read, &ConfigPath::default(), &mut known);
    for path in known {
        assert_eq!(unknown_field(&path), None, "the table does not know {path}");
    }
    assert_eq!(MOVED.len(), 3);
}

#[test]
fn null_is_taken_only_where_the_types_take_it() {
    let document = check::renamed(&full(&DOCUMENT)).document;
    let mut all = Vec::new();
    paths(&document, &ConfigPath::default(), &mut all);
    for path in all.iter().filter(|path| !matches!(path.steps().last(), Some(Step::Index(_)))) {
        let mut with_null = document.clone();
        path.set(&mut with_null, Value::Null).unwrap();
        let accepted = found(&with_null).iter().all(|one| one.kind == Kind::Rule);
        let read = serde_json::from_value::<Config>(with_null).is_ok();
        assert!(!accepted || read, "the table takes null at {path}, the types do not");
    }
}

#[test]
fn references_to_the_parameter_store_are_found_wherever_they_stand() {
    let document = json!({"providers": {"anthropic": {"apiKey": "ssm:anthropic"}}, "n": 1, "on": true,
        "channels": {"slack": {"accounts": {"a.b": {"botToken": "ssm:/other/slack"}, "b": {"botToken": "env:X"}}}},
        "mcpServers": [{"headers": {"authorization": "ssm:anthropic"}}]});
    let found = references(&document).into_iter().map(|found| (found.at.to_string(), found.name));
    let found: BTreeSet<(String, &str)> = found.collect();
    let told = [
        ("channels.slack.accounts.\"a.b\".botToken", "/other/slack"),
        ("mcpServers[0].headers.authorization", "anthropic"),
        ("providers.anthropic.apiKey", "anthropic"),
    ];
    assert_eq!(found, BTreeSet::from(told.map(|(at, name)| (at.to_owned(), name))));
    let note = "channels.slack.accounts.\"a.b\".botToken refers to a parameter outside /night/, which is all that the functions may read";
    assert_eq!(SecretsPath::new("/night").notes(&document), [note]);
    assert_eq!(SecretsPath::default().notes(&document), [""; 0], "below the root lies everything");
}

#[test]
fn a_name_lies_below_the_deployments_path_and_a_path_is_itself() {
    let means = |path, name| (SecretsPath::new(path).parameter(name), SecretsPath::new(path).holds(name));
    assert_eq!(means("/night", "anthropic-key"), ("/night/anthropic-key".to_owned(), true));
    assert_eq!(means("night/", "channels/slack:3"), ("/night/channels/slack:3".to_owned(), true));
    assert_eq!(means("/night", "/night/key"), ("/night/key".to_owned(), true));
    assert_eq!(means("/night", "/nightly/key"), ("/nightly/key".to_owned(), false));
    assert_eq!(means("", "key"), ("/key".to_owned(), true));
}
