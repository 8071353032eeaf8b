//! The simulation on the real adapter: operations go through the AWS SDK to an embedded DynamoDB. Whatever the
//! rules say of the table in memory they say of this one, and what was done is the same to the last call.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stderr, reason = "figures")]

use std::sync::Arc;
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use nightshift_engine::ManualClock;
use nightshift_sim::case::{Watch, beginning, play, play_in};
use nightshift_sim::hunt::{Kind, made_up};
use nightshift_sim::outside::Outside;
use nightshift_sim::tally::Tally;
use nightshift_store::{DynamoStore, create_table};
use tokio::sync::oneshot;

/// Other cases than those of the simulation in memory.
const SEED: u64 = 19_840_914;
/// Operations that go through the adapter in a run of the tests, at least: every look of the rules at the table is a request
/// too, which makes an operation a thousand times as dear as in memory. `SIM_OPERATIONS=` says otherwise.
const OPERATIONS: u64 = 50;
/// The same with `SIM=long`.
const LONG: u64 = 5_000;

/// A client of an embedded table that goes with the sender.
async fn dynoxide() -> (Client, oneshot::Sender<()>) {
    let database = dynoxide::Database::memory().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (server, stopped) = oneshot::channel::<()>();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async move {
        // A dropped sender stops the server too.
        let _ = stopped.await;
    }));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        .build();
    (Client::from_conf(config), server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_cases_are_the_same_worlds_on_dynamodb() {
    #[expect(clippy::disallowed_methods, reason = "how long the machine took is no part of the simulation")]
    let started = Instant::now();
    let long = std::env::var("SIM").is_ok_and(|word| word == "long");
    let asked = std::env::var("SIM_OPERATIONS").ok().and_then(|text| text.parse().ok());
    let wanted = asked.unwrap_or(if long { LONG } else { OPERATIONS });
    let (client, _server) = dynoxide().await;
    let mut tally = Tally::default();
    for number in 0.. {
        if tally.operations >= wanted {
            break;
        }
        let case = made_up(Kind::Jobs, SEED, number).unwrap();
        // A table for each case: what one leaves must not be seen by the next.
        let table = format!("case-{number}");
        create_table(&client, &table).await.unwrap();
        let clock = ManualClock::new(beginning());
        let store = DynamoStore::new(client.clone(), &table, Arc::new(clock.clone()));
        let outside = Outside::with_store(clock, case.seed, Arc::new(store));
        let played = Box::pin(play_in(outside, &case, Watch::Digest)).await;
        let played =
            played.unwrap_or_else(|failure| panic!("case {number} of seed {SEED} fails on DynamoDB {failure}"));
        let in_memory = play(&case, Watch::Digest);
        let in_memory = in_memory.unwrap_or_else(|failure| panic!("case {number} of seed {SEED} fails {failure}"));
        // Not their digests: of calls made at once over HTTP, which is answered first is not ours to say.
        assert_eq!(played.tally, in_memory.tally, "case {number} of seed {SEED}");
        tally += played.tally;
    }
    eprintln!("sim on DynamoDB: seed {SEED}: {tally}, {:.1} s", started.elapsed().as_secs_f64());
}
