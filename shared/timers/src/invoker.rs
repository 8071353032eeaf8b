//! `engine::ports::Invoker` on Lambda.

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::InvocationType;
use aws_smithy_types::Blob;
use nightshift_domain::event::{Envelope, Function};
use nightshift_engine::ports::{Invoker, TimerError};

use crate::Functions;
use crate::error::failed;

/// Calls between functions through Lambda's own queue.
#[derive(Debug, Clone)]
pub struct LambdaInvoker {
    client: Client,
    functions: Functions,
}

impl LambdaInvoker {
    /// Calls to `functions` through `client`.
    pub fn new(client: Client, functions: Functions) -> Self {
        Self { client, functions }
    }
}

#[async_trait]
impl Invoker for LambdaInvoker {
    /// # Crash safety
    /// Lambda answers once the event is durably queued, and delivers it at least once. Stopped before the answer, it may be
    /// queued: a repeat nudges twice.
    async fn invoke(&self, function: Function, envelope: &Envelope) -> Result<(), TimerError> {
        let operation = format!("invoke {}", function.name());
        let payload = serde_json::to_vec(envelope).map_err(|error| failed(&operation, error))?;
        let request = self.client.invoke().function_name(self.functions.arn(function));
        let request = request.invocation_type(InvocationType::Event).payload(Blob::new(payload));
        request.send().await.map(|_| ()).map_err(|error| failed(&operation, error))
    }
}
