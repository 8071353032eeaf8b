//! The tables under test.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use chrono::{DateTime, Utc};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::Store;
use nightshift_engine::testing::MemoryStore;
use nightshift_store::{DynamoStore, create_table};
use nightshift_tests::ministack::Ministack;
use tokio::sync::oneshot;

/// A table with its clock.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: ManualClock,
    /// The table behind the store, where there is one.
    raw: Option<(Client, String)>,
    /// Dropped with the world, and then the server stops.
    _server: Option<oneshot::Sender<()>>,
}

/// Far ahead of the machine's clock, so that no emulator removes what only our clock will let expire.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(2_000_000_000, 0).unwrap()
}

impl World {
    pub(crate) fn in_memory() -> Self {
        let clock = ManualClock::new(start());
        Self { store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))), clock, raw: None, _server: None }
    }

    /// `DynamoStore` on an embedded table of its own.
    pub(crate) async fn on_dynoxide() -> Self {
        let database = dynoxide::Database::memory().unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (server, stopped) = oneshot::channel::<()>();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async move {
            // A dropped sender stops the server too.
            let _ = stopped.await;
        }));
        Self { _server: Some(server), ..Self::on_endpoint(&url, "contract").await }
    }

    /// `DynamoStore` on a table called `table` behind `url`.
    pub(crate) async fn on_endpoint(url: &str, table: &str) -> Self {
        let clock = ManualClock::new(start());
        let client = client(url);
        create_table(&client, table).await.unwrap();
        // A repeat finds everything in place.
        create_table(&client, table).await.unwrap();
        let store = DynamoStore::new(client.clone(), table, Arc::new(clock.clone()));
        Self { store: Arc::new(store), clock, raw: Some((client, table.to_owned())), _server: None }
    }

    /// Takes away what a release of before jobs were counted would not have written: the remark in the rows of `jobs`, and
    /// the counts.
    pub(crate) async fn as_of_before_jobs_were_counted(&self, jobs: &[&str]) {
        let Some((client, table)) = &self.raw else { return };
        let text = |text: String| AttributeValue::S(text);
        for id in jobs {
            let update = client.update_item().table_name(table).key("PK", text(format!("JOB#{id}")));
            let update = update.key("SK", text("META".to_owned())).update_expression("REMOVE counted");
            let update = update.return_values(ReturnValue::UpdatedOld).send().await.unwrap();
            assert!(update.attributes.is_some_and(|old| old.contains_key("counted")), "job {id} was counted");
        }
        for shard in 0..8 {
            let delete = client.delete_item().table_name(table).key("PK", text("COUNT".to_owned()));
            delete.key("SK", text(format!("#JOBS#{shard}"))).send().await.unwrap();
        }
        assert_eq!(self.store.overview().await.unwrap().jobs, 0);
    }
}

fn client(url: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        .build();
    Client::from_conf(config)
}

/// A running ministack: the one `NIGHTSHIFT_MINISTACK_URL` names, or one started for this test.
pub(crate) enum Emulator {
    Running(String),
    Started(Ministack),
}

impl Emulator {
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Running(url) => url,
            Self::Started(ministack) => ministack.url(),
        }
    }
}

/// The second emulator, where there is one.
pub(crate) fn second_emulator() -> Option<Emulator> {
    match std::env::var("NIGHTSHIFT_MINISTACK_URL") {
        Ok(url) => Some(Emulator::Running(url)),
        Err(_) => Ministack::available().map(Emulator::Started),
    }
}
