//! The same hundred turns run five ways, on the local stack: what each way is really charged where prompts are cached by the
//! provider's rules. A day before teaches the jobs how many steps their turns have. No time is measured here.

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::money::{InRealtime, PriceRow, Tokens, price, usd};
use nightshift_fake_anthropic::Tokens as Billed;
use nightshift_tests::local::Local;
use serde_json::{Value, json};

use crate::costs::{GROWTH, OUTPUTS, PREFIXES, STEPS};
use crate::table::{Table, ratio, say};

const MODEL: &str = "anthropic/claude-sonnet-5-5";
/// Where the provider finds the stack's tools.
const PUBLIC: &str = "https://nightshift.example";
/// About what a prompt has before any document, tokens: the system prompt, two tools and the question.
const BARE: u64 = 900;
/// The longest document, tokens.
const DOCUMENT: u64 = 12_000;
/// What a call of a tool and its frame are, tokens.
const FRAME: u64 = 60;
/// How many steps the hundred turns have.
const TURNS_STEPS: u64 = 260;
/// How many prompts kept for an hour a batch finds, as the planner takes it.
const HITS: f64 = 0.98;

/// A way to have a turn answered.
struct Way {
    name: &'static str,
    /// Whether its jobs' turns are batched.
    batch: bool,
    /// Whether the way of each turn is the planner's choice.
    auto: bool,
    /// Whether the provider may call the tools.
    endpoint: bool,
}

const WAYS: [Way; 5] = [
    Way { name: "realtime", batch: false, auto: false, endpoint: false },
    Way { name: "batch", batch: true, auto: false, endpoint: false },
    Way { name: "auto", batch: true, auto: true, endpoint: false },
    Way { name: "one call", batch: true, auto: false, endpoint: true },
    Way { name: "auto with it", batch: true, auto: true, endpoint: true },
];

impl Way {
    fn batch(&self) -> Value {
        let mode = if self.auto { "auto" } else { "always" };
        if self.batch { json!({ "enabled": true, "mode": mode }) } else { json!({ "enabled": false }) }
    }
}

fn agent(way: usize, prefix: u64) -> String {
    format!("w{way}-p{prefix}")
}

/// A text of about so many tokens.
fn text(start: &str, tokens: u64) -> String {
    let words = usize::try_from(tokens).unwrap_or(0) * 4 / 5;
    let mut text = format!("{start} ");
    text.extend(std::iter::repeat_n("word ", words));
    text
}

/// What the model says in each step of each turn, whichever way its tools are offered.
fn replies() -> Vec<Value> {
    let mut replies = Vec::new();
    for output in OUTPUTS {
        for steps in [1_usize, 2, 3, 6] {
            let turn = format!("o{output}-s{steps}.");
            let own = |hop: usize| json!({ "match": turn, "hop": hop });
            for hop in 0..steps - 1 {
                let said = json!({ "type": "text", "text": text("I look.", output - FRAME) });
                let input = json!({ "command": "view", "path": format!("/memories/o{output}-s{steps}") });
                for (offers, call) in [
                    (
                        "nightshift",
                        json!({ "type": "mcp_tool_use", "server_name": "nightshift", "name": "memory_view", "input": input }),
                    ),
                    ("memory", json!({ "type": "tool_use", "name": "memory", "input": input })),
                ] {
                    let mut reply = own(hop);
                    reply["offers"] = json!(offers);
                    reply["content"] = json!([said, call]);
                    replies.push(reply);
                }
            }
            let mut last = own(steps - 1);
            last["text"] = json!(text("Done.", output));
            replies.push(last);
        }
    }
    replies
}

async fn furnish(local: &Local) {
    let mut entries = json!({});
    for prefix in PREFIXES {
        let (mut names, mut left) = (Vec::new(), prefix.saturating_sub(BARE));
        while left > 0 {
            let name = format!("{prefix}-{}.md", names.len());
            let document = text("Read this.", left.min(DOCUMENT));
            local.ok("documents.put", &json!({ "name": name, "text": document })).await;
            left = left.saturating_sub(DOCUMENT);
            names.push(name);
        }
        for (way, Way { endpoint, .. }) in WAYS.iter().enumerate() {
            entries[agent(way, prefix)] =
                json!({ "documents": names, "tools": { "endpoint": { "enabled": endpoint } } });
        }
    }
    let config = json!({
        "api": { "publicUrl": PUBLIC },
        "agents": { "defaults": { "model": MODEL }, "entries": entries },
    });
    local.configure(&config).await;
    let mut minute = 0;
    for prefix in PREFIXES {
        for (at, output) in OUTPUTS.into_iter().enumerate() {
            for (turn, steps) in STEPS.into_iter().enumerate() {
                for (way, how) in WAYS.iter().enumerate() {
                    let agent = agent(way, prefix);
                    let name = format!("o{output}-s{steps}");
                    if steps > 1 {
                        let note = text(&format!("{name}."), GROWTH.saturating_sub(output + FRAME));
                        let note = json!({ "agentId": agent, "path": format!("/memories/{name}"), "text": note });
                        local.ok("memory.put", &note).await;
                    }
                    let job = json!({
                        "jobId": format!("{agent}-{at}-{turn}"), "agentId": agent,
                        "schedule": { "kind": "cron", "tz": "UTC", "staggerMs": 0,
                            "expr": format!("{} {} * * *", minute % 60, 7 + minute / 60) },
                        "payload": { "kind": "agentTurn", "message": format!("Do {name}."), "batch": how.batch(),
                            "toolsAllow": ["memory"] },
                        "delivery": { "mode": "none" },
                    });
                    local.add(&job).await;
                    minute += 1;
                }
            }
        }
    }
    let script = json!({
        "batchDurationMs": 600_000, "batchCacheHits": HITS, "replies": replies(),
        "mcpOrigins": { PUBLIC: local.stack.ready.url },
    });
    local.script(script);
}

/// What one way came to.
#[derive(Debug, Default)]
struct Sum {
    runs: u64,
    failed: u64,
    calls: u64,
    steps: u64,
    batched: u64,
    paid: f64,
    uncached: f64,
    best: f64,
}

impl Sum {
    fn add(&mut self, run: &Value, price: &PriceRow) {
        let number = |field: &str| run[field].as_f64().unwrap_or_default();
        self.runs += 1;
        self.failed += u64::from(run["status"] != "ok");
        self.batched += u64::from(run["path"] == "batch");
        self.paid += number("costUsd");
        self.best += number("realtimeCostUsd");
        let hops = run["hops"].as_array().map_or(&[][..], Vec::as_slice);
        self.calls += hops.len() as u64;
        for hop in hops {
            self.uncached += usd(InRealtime::of(&Tokens::of(&hop["usage"]), price, 0).uncached_nano_usd);
            self.steps += hop["usage"]["iterations"].as_array().map_or(1, |steps| steps.len() as u64);
        }
    }
}

/// The runs of the way's jobs that began on or after `from`.
async fn summed(local: &Local, way: usize, from: DateTime<Utc>, price: &PriceRow) -> Sum {
    let mut sum = Sum::default();
    for prefix in PREFIXES {
        for at in 0..OUTPUTS.len() {
            for turn in 0..STEPS.len() {
                let job = format!("{}-{at}-{turn}", agent(way, prefix));
                let run = local.last_run(&job).await;
                if run["createdAtMs"].as_i64().is_some_and(|at| at >= from.timestamp_millis()) {
                    sum.add(&run, price);
                }
            }
        }
    }
    sum
}

/// Runs them and prints.
pub(crate) async fn measure() -> anyhow::Result<()> {
    let local = Local::start().await;
    let row = price(MODEL, local.stack.clock().now(), &[]).with_context(|| format!("no price is known for {MODEL}"))?;
    // Nothing is lost that it would find.
    local.drop_timer("sweep").await;
    furnish(&local).await;
    // A day to learn from, and the one that counts.
    local.advance(18 * 60).await;
    let from = local.stack.clock().now();
    local.advance(TimeDelta::days(1).num_minutes()).await;
    let heads = ["", "paid", "beside realtime", "model calls", "turns in batches"];
    let mut table =
        Table::new(format!("What the same hundred turns are charged when they are run ({MODEL}, US dollars)"), &heads);
    let mut realtime = 0.0;
    for (way, Way { name, .. }) in WAYS.iter().enumerate() {
        let sum = summed(&local, way, from, &row).await;
        if way == 0 {
            realtime = sum.paid;
            let mut cells =
                vec!["realtime, nothing cached".to_owned(), dollars(sum.uncached), ratio(sum.uncached, realtime)];
            cells.extend([sum.calls, 0].map(|number| number.to_string()));
            table.row(cells);
        }
        let mut cells = vec![(*name).to_owned(), dollars(sum.paid), ratio(sum.paid, realtime)];
        cells.extend([sum.calls, sum.batched].map(|number| number.to_string()));
        table.row(cells);
        let whole = sum.runs == 100 && sum.failed == 0 && sum.steps == TURNS_STEPS;
        anyhow::ensure!(whole, "{name} is not the same hundred turns: {sum:?}");
    }
    table.print();
    say(&books(&local, &row).await?);
    Ok(())
}

fn dollars(amount: f64) -> String {
    format!("{amount:.2}")
}

/// What both days cost by the ledger, which has to be what the provider's own bill comes to.
async fn books(local: &Local, row: &PriceRow) -> anyhow::Result<String> {
    let ledger = local.ok("cron.cost", &json!({ "fromMs": 0 })).await["total"]["paidUsd"].as_f64().unwrap_or_default();
    let bill = local.fake().bill();
    let tokens = |all: &Billed| Tokens {
        input: all.input_tokens,
        output: all.output_tokens,
        write_5m: all.cache_creation_input_tokens - all.ephemeral_1h_input_tokens,
        write_1h: all.ephemeral_1h_input_tokens,
        read: all.cache_read_input_tokens,
        searches: all.web_search_requests,
        in_us: false,
    };
    let realtime: u64 = bill.realtime.values().map(|all| tokens(all).realtime(row)).sum();
    let batched: u64 = bill.batch.values().map(|all| tokens(all).batch(row)).sum();
    let billed = usd(realtime + batched);
    anyhow::ensure!((billed - ledger).abs() < 1e-3, "the ledger says {ledger}, the provider's bill {billed} dollars");
    Ok(format!("  both days by the ledger: ${ledger:.4}; by the provider's bill: ${billed:.4}"))
}
