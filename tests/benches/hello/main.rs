//! The least that a Lambda function in Rust can be: what the functions' cold starts are compared with.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(|_: LambdaEvent<Value>| async { Ok::<Value, Error>(json!({ "hello": "world" })) })).await
}
