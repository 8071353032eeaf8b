//! Boots the `deliver` function: clients are built once, in the init phase, and their connections warmed.

use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use nightshift_domain::event::Envelope;

#[tokio::main]
async fn main() -> Result<(), Error> {
    nightshift_boot::init_tracing();
    let deps = &nightshift_boot::deps().await?;
    run(service_fn(|event: LambdaEvent<Envelope>| async move {
        let invocation = nightshift_boot::invocation_ms(deps, &event.context.request_id, event.context.deadline);
        let answer = nightshift_deliver::handle(deps, event.payload, &invocation).await;
        answer.map_err(|error| Diagnostic { error_type: error.kind().to_owned(), error_message: error.chain() })
    }))
    .await
}
